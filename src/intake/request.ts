import { hash } from 'node:crypto'
import { isUtf8 } from 'node:buffer'

import { type Headers, headerText } from '../core/signature.ts'
import type { NewDelivery } from '../store/store.ts'
import type { Registered } from './sources.ts'

/** A request as it came off the wire; header names in lower case. */
export type RawRequest = {
  id: string
  /** The registered sender that the URL names; null where it names none. */
  sourceId: string | null
  /** The URL as its sender called it, for signatures over it; empty where it names no source. */
  url: string
  /** ms since the epoch */
  receivedAt: number
  address: string
  method: string
  path: string
  headers: Headers
  body: Buffer
}

/** Who sends: in open mode everybody is the same one. */
export type Sender = { source: string; registered: Registered | null }

export const headerOf = ({ headers }: RawRequest, name: string): string | undefined =>
  headerText(headers, name) ?? undefined

/** A parameter of the URL's query; null when it is not there. */
export function queryOf({ path }: RawRequest, name: string): string | null {
  const start = path.indexOf('?')
  return start < 0 ? null : new URLSearchParams(path.slice(start + 1)).get(name)
}

/** The body that was decoded last: it is asked for to be parsed, and again to be kept. */
const decoded: { body: Buffer | null; text: string | null } = { body: null, text: null }

/** A body as text; null where it is no UTF-8. */
export function textOf(body: Buffer): string | null {
  if (decoded.body !== body) Object.assign(decoded, { body, text: isUtf8(body) ? body.toString('utf8') : null })
  return decoded.text
}

/** The audit row of a request. The body is kept only of a sender who is known, so that nobody else fills the disk. */
export function deliveryOf(request: RawRequest, sender: Sender | null, body: Buffer): NewDelivery {
  const redaction = sender?.registered?.redaction
  const kept = redaction?.hasRaw ? redaction.body(body, headerOf(request, 'content-type') ?? '') : body
  const hidden = redaction?.hasRaw ? redaction.rawText : (text: string) => text
  return {
    receivedAt: request.receivedAt,
    source: sender?.source ?? 'unknown',
    address: request.address,
    method: request.method,
    path: hidden(maskedPath(request.path)),
    headers: maskedHeaders(request, hidden),
    body: sender === null ? null : (textOf(kept) ?? new Uint8Array(kept)),
    bodySize: body.length,
    bodySha256: hash('sha256', kept),
    // The plain hash of what was taken out would give it away: a phone number is guessed in minutes.
    fingerprint: kept === body ? null : (sender?.registered?.fingerprint(body) ?? null),
    receivedSha256: kept === body ? null : hash('sha256', body),
    requestId: request.id,
    platform: null,
    idempotencyKey: null,
    keyIsPlatforms: false,
    replayOf: null,
  }
}

/** Whether it came to a batch's address. */
export const isBatch = ({ path }: RawRequest): boolean => /\/batch\/?(?:\?|$)/.test(path)

/** What a header or a parameter is called that holds a secret; `author` holds none. */
const SECRET =
  /auth(?!or(?!iz))|cookie|secret|token|signature|passw|credential|session|hmac|jwt|(?:api|access|private)[-_]?key|^(?:key|sig|pwd|pass)$/

/** Whether a header's value is a secret, for each name seen so far; names are the sender's, so the memory is bounded. */
const secrets = new Map<string, boolean>()

function isSecret(name: string): boolean {
  const known = secrets.get(name)
  if (known !== undefined) return known
  const secret = SECRET.test(name)
  if (secrets.size < 1000) secrets.set(name, secret)
  return secret
}

/** A path without its query, in which senders put tokens and people's addresses: for the log, which is read by many. */
export function pathOf(url: string): string {
  const [path = ''] = url.split('?', 1)
  return /^[\w/-]*$/.test(path) ? path : maskedPath(path)
}

/** A path with its query, secrets masked: some senders can put their token nowhere else. Takes whole URLs as well. */
function maskedPath(url: string): string {
  const path = url.startsWith('/') ? url : url.replace(/^[^/?]*:\/\/[^/?]*@/, '***@')
  if (!path.includes('?')) return path
  return path.replaceAll(/([?&;])([^=&;]*)=[^&;]*/g, (whole, mark: string, name: string) =>
    isSecret(plain(name).toLowerCase()) ? `${mark}${name}=***` : whole,
  )
}

function plain(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

const PLAIN = /^[\w ./:;=,*+()-]*$/

/** As JSON.stringify writes it; most headers need no escaping, and a short look is cheaper than to be sure of it. */
const quoted = (text: string): string => (PLAIN.test(text) ? `"${text}"` : JSON.stringify(text))

function maskedHeaders({ headers }: RawRequest, hidden: (text: string) => string): string {
  let json = ''
  for (const name in headers) {
    const said = maskedValue(headers[name])
    const value = isSecret(name) ? '***' : Array.isArray(said) ? said.map(hidden) : said && hidden(said)
    json += `${json === '' ? '{' : ','}${quoted(name)}:${typeof value === 'string' ? quoted(value) : JSON.stringify(value)}`
  }
  return json === '' ? '{}' : `${json}}`
}

/** A Referer, or what a proxy says was asked for, is an address with a query of its own. */
const maskedValue = (value: Headers[string]) =>
  typeof value === 'string' && (value.includes('?') || value.includes('://')) ? maskedPath(value) : value
