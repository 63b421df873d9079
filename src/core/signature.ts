import { createHash, createHmac, createPublicKey, timingSafeEqual, verify as verifyWithKey } from 'node:crypto'

import { timeFrom } from './fields.ts'

export type Headers = Readonly<Record<string, string | string[] | undefined>>

/** A request as a signature sees it: the bytes as they came, and the public URL that the sender called. */
export type SignedRequest = { method: string; url: string; headers: Headers; body: Buffer }

/** Why a request is not what its sender signed. For the audit log; the sender is told no more than that it is not. */
type SignatureFault = 'missing' | 'mismatch' | 'no time' | 'stale'

/**
 * Whether one of these secrets signed this request: null when one did. Several secrets are for rotation; an empty one
 * never matches. `now` is in ms since the epoch.
 */
export type Verify = (request: SignedRequest, secrets: readonly string[], now: number) => SignatureFault | null

export function headerText(headers: Headers, name: string): string | null {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : (value ?? null)
}

/** Equal in a time that depends on the expected value's length alone. */
function isEqual(given: string, expected: string): boolean {
  const [a, b] = [createHash('sha256').update(given).digest(), createHash('sha256').update(expected).digest()]
  return timingSafeEqual(a, b)
}

type Scheme = {
  algorithm: 'sha1' | 'sha256'
  encoding: 'hex' | 'base64'
  header: string
  /** What stands before each signature in the header, such as `sha256=`. Another one does not match. */
  prefix?: string
  /** What separates several signatures in one header, any of which may match. */
  separator?: string
  /** The pieces that are signed, in order; the body alone when left out. Null when the request lacks one. */
  signed?: (request: SignedRequest) => readonly (string | Buffer)[] | null
  key?: (secret: string) => string | Buffer | null
  time?: TimeWindow
}

type TimeWindow = {
  /** As the sender wrote it: ISO 8601, or seconds or milliseconds since the epoch. */
  of: (request: SignedRequest) => string | null
  toleranceSeconds: number
}

/** For a sender that signs the time which it says in a header: what it signs, and how old it may be. */
export const timed = (
  header: string,
  pieces: (sentAt: string, request: SignedRequest) => readonly (string | Buffer)[],
  toleranceSeconds = 300,
): Required<Pick<Scheme, 'signed' | 'time'>> => ({
  signed: (request) => {
    const sentAt = headerText(request.headers, header)
    return sentAt === null ? null : pieces(sentAt, request)
  },
  time: { of: ({ headers }) => headerText(headers, header), toleranceSeconds },
})

/** A keyed hash (HMAC) over the raw bytes. The algorithm is the sender's one and only: no header can lower it. */
export function hmac(scheme: Scheme): Verify {
  const { algorithm, encoding, header, prefix = '', separator, signed, key = (secret) => secret, time } = scheme
  return (request, secrets, now) => {
    const given = headerText(request.headers, header)
    if (given === null || given === '') return 'missing'
    const pieces = signed === undefined ? [request.body] : signed(request)
    if (pieces === null) return time === undefined ? 'missing' : 'no time'
    const candidates = (separator === undefined ? [given] : given.split(separator)).map((one) => one.trim())
    const isSigned = secrets.some((secret) => {
      const bytes = secret === '' ? null : key(secret)
      if (bytes === null || bytes.length === 0) return false
      const digest = createHmac(algorithm, bytes)
      for (const piece of pieces) digest.update(piece)
      const expected = prefix + digest.digest(encoding)
      // Each is compared, so that the time says nothing about which of them matched.
      return candidates.filter((candidate) => isEqual(candidate, expected)).length > 0
    })
    if (!isSigned) return 'mismatch'
    return time === undefined ? null : outsideWindow(request, time, now)
  }
}

/**
 * SHA-256 in hex over the secret and then the body. Weaker than an HMAC and bound to no time: for senders that know
 * nothing better, or by choice.
 */
export function saltedHash(header: string): Verify {
  return ({ headers, body }, secrets) => {
    const given = headerText(headers, header)
    if (given === null || given === '') return 'missing'
    const matches = secrets.filter(
      (secret) => secret !== '' && isEqual(given, createHash('sha256').update(secret).update(body).digest('hex')),
    )
    return matches.length > 0 ? null : 'mismatch'
  }
}

/** Standard Webhooks (`v1`, and `v1a` by a public key): id.timestamp.body, five minutes. */
export const standardWebhooks: Verify = (request, secrets, now) => {
  // One signature in 4,096 begins with `v1` itself.
  const signatures = (headerText(request.headers, 'webhook-signature')?.split(/[ ,](?=v1a?,)/) ?? []).map((one) =>
    one.replace(/,$/, ''),
  )
  const pieces = standardPieces(request)
  if (signatures.length === 0 || pieces === null) return 'missing'
  const isSigned = secrets.some((secret) =>
    secret.startsWith('whpk_')
      ? signatures.some((one) => one.startsWith('v1a,') && isSignedByKey(secret.slice(5), pieces, one.slice(4)))
      : isSignedBySecret(secret, pieces, signatures),
  )
  if (!isSigned) return 'mismatch'
  return outsideWindow(
    request,
    { of: ({ headers }) => headerText(headers, 'webhook-timestamp'), toleranceSeconds: 300 },
    now,
  )
}

/** A key written in base64, in either alphabet. Node decodes up to what is none, and so takes several texts for one key. */
const keyIn = (base64: string): Buffer | null =>
  /^[\w+/-]{2,}={0,2}$/.test(base64) ? Buffer.from(base64, 'base64') : null

function standardPieces({ headers, body }: SignedRequest): (string | Buffer)[] | null {
  const [id, sentAt] = [headerText(headers, 'webhook-id'), headerText(headers, 'webhook-timestamp')]
  return id === null || sentAt === null ? null : [`${id}.${sentAt}.`, body]
}

function isSignedBySecret(secret: string, pieces: (string | Buffer)[], signatures: string[]): boolean {
  const key = keyIn(secret.replace(/^whsec_/, ''))
  if (key === null) return false
  const digest = createHmac('sha256', key)
  for (const piece of pieces) digest.update(piece)
  const expected = `v1,${digest.digest('base64')}`
  return signatures.filter((candidate) => isEqual(candidate, expected)).length > 0
}

function isSignedByKey(publicKey: string, pieces: (string | Buffer)[], signature: string): boolean {
  try {
    const x = keyIn(publicKey)?.toString('base64url') ?? ''
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
    return verifyWithKey(
      null,
      Buffer.concat(pieces.map((piece) => Buffer.from(piece))),
      key,
      Buffer.from(signature, 'base64'),
    )
  } catch {
    return false // what is no key has signed nothing
  }
}

/** ECDSA over the curve P-256: the secret is the sender's public key, DER in base64. */
export function ecdsa(scheme: {
  header: string
  signed: (request: SignedRequest) => readonly (string | Buffer)[] | null
  time: TimeWindow
}): Verify {
  return (request, secrets, now) => {
    const given = headerText(request.headers, scheme.header)
    if (given === null || given === '') return 'missing'
    const pieces = scheme.signed(request)
    if (pieces === null) return 'no time'
    const bytes = Buffer.concat(pieces.map((piece) => Buffer.from(piece)))
    if (!secrets.some((secret) => isSignedByDer(secret, bytes, given))) return 'mismatch'
    return outsideWindow(request, scheme.time, now)
  }
}

function isSignedByDer(secret: string, signed: Buffer, signature: string): boolean {
  try {
    const bytes = keyIn(secret) ?? Buffer.alloc(0)
    const key = createPublicKey({ key: bytes, format: 'der', type: 'spki' })
    return verifyWithKey('sha256', signed, key, Buffer.from(signature, 'base64'))
  } catch {
    return false // what is no key has signed nothing
  }
}

/**
 * A secret that is sent along as it is: a header of its own, a bearer token, the password of Basic, or (for senders
 * that can set no header) `?token=` in the URL. Proves who sends, not what was sent.
 */
export function sharedToken(...headers: string[]): Verify {
  return ({ headers: sent, url }, secrets) => {
    const given = [...headers, 'x-api-key', 'x-ticketflow-token', 'x-webhook-secret']
      .flatMap((name) => headerText(sent, name) ?? [])
      .concat(credentials(sent), tokenInUrl(url))
      .filter((token) => token !== '')
    if (given.length === 0) return 'missing'
    const matches = given.filter((token) => secrets.some((secret) => secret !== '' && isEqual(token, secret)))
    return matches.length > 0 ? null : 'mismatch'
  }
}

/** What an Authorization header says: a token, or a user and a password, which is null where there is no colon. */
type Authorization = { token: string } | { pair: string; user: string; password: string | null }

export function authorizationOf(headers: Headers): Authorization | null {
  const [scheme = '', value = ''] = headerText(headers, 'authorization')?.trim().split(/\s+/) ?? []
  if (scheme.toLowerCase() === 'bearer') return { token: value }
  if (scheme.toLowerCase() !== 'basic') return null
  const pair = Buffer.from(value, 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  return colon < 0
    ? { pair, user: pair, password: null }
    : { pair, user: pair.slice(0, colon), password: pair.slice(colon + 1) }
}

/** "user:password", the pair as it was configured, or an API key in the place of the user. */
function credentials(headers: Headers): string[] {
  const said = authorizationOf(headers)
  if (said === null) return []
  if ('token' in said) return [said.token]
  const { pair, user, password } = said
  if (password === null) return []
  return password === '' || password.toLowerCase() === 'x' ? [pair, user] : [pair, password]
}

function tokenInUrl(url: string): string[] {
  const query = url.indexOf('?')
  return query < 0 ? [] : new URLSearchParams(url.slice(query + 1)).getAll('token')
}

function outsideWindow(request: SignedRequest, window: TimeWindow, now: number): SignatureFault | null {
  const sentAt = timeFrom(window.of(request))
  if (sentAt === null) return 'no time'
  return Math.abs(now - sentAt) <= window.toleranceSeconds * 1000 ? null : 'stale'
}
