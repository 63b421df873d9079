import { decodeWords } from 'postal-mime'

import { decodeText } from './text.ts'

export type Header = readonly [name: string, value: string]

/** What is said of an attachment. Its content stays in the body of the delivery. */
export type Attachment = { name: string | null; type: string | null; size: number | null; url?: string | null }

/** A whole message, taken apart: its first plain and its first HTML text, and the names of the rest. */
type Message = { headers: Header[]; text: string | null; html: string | null; attachments: Attachment[] }

/** Real mails are four or five deep. */
const MAX_DEPTH = 10
const MAX_PARTS = 500

/** The lines of a mail's head, unfolded, in their order. Encoded words stay as they are. */
export function headersIn(block: string): Header[] {
  const lines = unix(block)
    .replace(/\n[ \t]+/g, ' ')
    .split('\n')
  return lines.flatMap((line): Header[] => {
    const colon = line.indexOf(':')
    return colon > 0 ? [[line.slice(0, colon).trim(), line.slice(colon + 1).trim()]] : []
  })
}

/** The first header of this name, whatever the case it is written in; null when there is none or it is blank. */
export function header(headers: readonly Header[], name: string): string | null {
  const value = headers.find(([said]) => said.toLowerCase() === name)?.[1].trim()
  return value === undefined || value === '' ? null : value
}

/** Reads a message as it went over the wire. Text in it that is 8 bit counts as decoded already. */
export function readMessage(raw: string): Message {
  const message: Message = { headers: [], text: null, html: null, attachments: [] }
  const left = { parts: MAX_PARTS }
  const visit = (source: string, depth: number): void => {
    left.parts -= 1
    if (left.parts < 0) return
    const { headers, body } = halves(source)
    if (depth === 0) message.headers = headers
    const type = header(headers, 'content-type') ?? 'text/plain'
    const boundary = /^multipart\//i.test(type) && depth < MAX_DEPTH ? parameter(type, 'boundary') : null
    if (boundary === null) addPart(message, headers, body)
    else for (const part of partsBetween(body, boundary)) visit(part, depth + 1)
  }
  visit(unix(raw).trimStart(), 0)
  return message
}

function halves(source: string): { headers: Header[]; body: string } {
  if (source.startsWith('\n')) return { headers: [], body: source.slice(1) }
  const end = source.indexOf('\n\n')
  return end < 0
    ? { headers: headersIn(source), body: '' }
    : { headers: headersIn(source.slice(0, end)), body: source.slice(end + 2) }
}

function partsBetween(body: string, boundary: string): string[] {
  const [, ...parts] = `\n${body}`.split(`\n--${boundary}`, MAX_PARTS)
  const last = parts.findIndex((part) => part.startsWith('--'))
  return (last < 0 ? parts : parts.slice(0, last)).map((part) => part.slice(part.indexOf('\n') + 1))
}

function addPart(message: Message, headers: readonly Header[], body: string): void {
  const type = header(headers, 'content-type') ?? 'text/plain'
  const disposition = header(headers, 'content-disposition') ?? ''
  const mediaType = type.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  const name = parameter(disposition, 'filename') ?? parameter(type, 'name')
  const key = mediaType === 'text/html' ? 'html' : mediaType === 'text/plain' ? 'text' : null
  const encoding = header(headers, 'content-transfer-encoding')?.toLowerCase() ?? ''
  if (key !== null && message[key] === null && name === null && !/^attachment\b/i.test(disposition)) {
    message[key] = decoded(body, encoding, parameter(type, 'charset') ?? 'utf-8')
    return
  }
  // An empty part is what some programs leave where they have cut one out.
  if (body.trim() === '') return
  const size = encoding === 'base64' ? Buffer.byteLength(body.replace(/\s/g, ''), 'base64') : Buffer.byteLength(body)
  message.attachments.push({ name: name === null ? null : decodeWords(name), type: mediaType, size })
}

/** A parameter such as `boundary`, plain, quoted, or written `name*=UTF-8''…` (RFC 2231). */
function parameter(value: string, name: string): string | null {
  const [, quoted, plain] =
    new RegExp(`;\\s*${name}\\s*=\\s*(?:"([^"]*)"|([^;\\s"]+))`, 'i').exec(value) ??
    new RegExp(`;\\s*${name}\\*\\s*=\\s*(?:"([^"]*)"|([^;\\s"]+))`, 'i').exec(value) ??
    []
  const said = quoted ?? plain ?? null
  return said !== null && /^[\w-]*'[^']*'/.test(said) ? unescaped(said) : said
}

function unescaped(said: string): string {
  const bytes = said.replace(/^[\w-]*'[^']*'/, '')
  try {
    return decodeURIComponent(bytes)
  } catch {
    return bytes
  }
}

function decoded(body: string, encoding: string, charset: string): string {
  if (encoding === 'base64') return decodeText(Buffer.from(body, 'base64'), charset)
  if (encoding !== 'quoted-printable') return body
  const bytes = body
    .replace(/=[ \t]*\n/g, '')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return decodeText(Buffer.from(bytes, 'latin1'), charset)
}

const unix = (text: string) => (text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text)
