import { hash } from 'node:crypto'
import { isUtf8 } from 'node:buffer'

import { type Headers, headerText } from '../core/signature.ts'
import type { NewDelivery } from '../store/store.ts'

/** A request as it came off the wire; header names in lower case. */
export type RawRequest = {
  id: string
  /** ms since the epoch */
  receivedAt: number
  address: string
  method: string
  path: string
  headers: Headers
  body: Buffer
}

/** Who sends: in open mode everybody is the same one. */
export type Sender = { source: string }

export const headerOf = ({ headers }: RawRequest, name: string): string | undefined =>
  headerText(headers, name) ?? undefined

/** A parameter of the URL's query; null when it is not there. */
export function queryOf({ path }: RawRequest, name: string): string | null {
  const start = path.indexOf('?')
  return start < 0 ? null : new URLSearchParams(path.slice(start + 1)).get(name)
}

/** The audit row of a request. The body is kept only of a sender who is known, so that nobody else fills the disk. */
export function deliveryOf(request: RawRequest, sender: Sender | null, body: Buffer): NewDelivery {
  return {
    receivedAt: request.receivedAt,
    source: sender?.source ?? 'unknown',
    address: request.address,
    method: request.method,
    path: maskedPath(request.path),
    headers: maskedHeaders(request),
    body: sender === null ? null : isUtf8(body) ? body.toString('utf8') : new Uint8Array(body),
    bodySize: body.length,
    bodySha256: hash('sha256', body),
    requestId: request.id,
    platform: null,
    idempotencyKey: null,
    keyIsPlatforms: false,
  }
}

const SECRET = /authorization|cookie|secret|token|signature|password|api-?key/

/** Whether a header's value is a secret, for each name seen so far; names are the sender's, so the memory is bounded. */
const secrets = new Map<string, boolean>()

function isSecret(name: string): boolean {
  const known = secrets.get(name)
  if (known !== undefined) return known
  const secret = SECRET.test(name)
  if (secrets.size < 1000) secrets.set(name, secret)
  return secret
}

/** A path with its query, secrets masked: some senders can put their token nowhere else. */
export function maskedPath(url: string): string {
  // Where a whole URL was asked for, it may hold a name and a password.
  const path = url.startsWith('/') ? url : url.replace(/^[^/?]*:\/\/[^/?]*@/, '***@')
  if (!path.includes('?')) return path
  return path.replaceAll(/([?&])([^=&]*)=[^&]*/g, (whole, mark: string, name: string) =>
    isSecret(name.toLowerCase()) ? `${mark}${name}=***` : whole,
  )
}

function maskedHeaders({ headers }: RawRequest): string {
  let json = ''
  for (const name in headers) {
    const value = isSecret(name) ? '***' : headers[name]
    json += `${json === '' ? '{' : ','}${JSON.stringify(name)}:${JSON.stringify(value)}`
  }
  return json === '' ? '{}' : `${json}}`
}
