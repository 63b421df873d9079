import { isUtf8 } from 'node:buffer'
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate } from 'node:zlib'

import {
  MaxPartsExceededError,
  MultipartParseError,
  type MultipartPart,
  parseMultipart,
} from '@remix-run/multipart-parser'
import qs from 'qs'

import { fail } from '../core/errors.ts'
import { checkBounds, isObject, jsonOrNull, parseJson, wellFormedValue } from '../core/json.ts'
import { decodeText } from '../core/text.ts'
import { headerOf, type RawRequest, textOf } from './request.ts'

const DECODERS = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
}

const MAX_PARTS = 2000

/** The body as the sender wrote it: inflated when it was sent compressed, within `limit` bytes. */
export async function inflateBody(request: RawRequest, encoding: string, limit: number): Promise<Buffer> {
  const decode = Object.entries(DECODERS).find(([name]) => name === encoding.trim().toLowerCase())?.[1]
  if (decode === undefined) {
    if (encoding.trim().toLowerCase() === 'identity') return request.body
    return fail(
      'unsupported',
      `Content-Encoding ${encoding.slice(0, 40)} is not supported; send gzip, deflate, br or none`,
    )
  }
  try {
    return await decode(request.body, { maxOutputLength: limit })
  } catch (error) {
    if (error instanceof RangeError) fail('too_large', `Body is larger than ${limit} bytes when inflated`)
    return fail('malformed', `Body is not valid ${encoding.slice(0, 40)}`)
  }
}

/**
 * Bytes to a value, by what they are more than by what the sender calls them: JSON often comes as text/plain, with no
 * type at all, or (curl -d) as a form. Throws `malformed` or, for XML, `unsupported`.
 */
export function parseBody(request: RawRequest, body: Buffer): unknown {
  const header = headerOf(request, 'content-type') ?? ''
  const type = header.toLowerCase()
  if (type.startsWith('multipart/')) return formPayload(parseParts(type, header, body))
  const first = firstCharacter(body)
  const isForm = type.startsWith('application/x-www-form-urlencoded')
  if (first === '<' || /[/+]xml\b/.test(type)) {
    fail('unsupported', 'XML is not supported; choose JSON or form encoding at the sender')
  }
  if (isForm && first !== '{' && first !== '[') return formPayload(parseForm(body, type))
  return parseJson(textOf(body) ?? fail('malformed', 'Body is not valid UTF-8'))
}

function firstCharacter(body: Buffer): string {
  let index = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0
  while (index < body.length && (body[index] ?? 0) <= 0x20) index += 1
  return String.fromCharCode(body[index] ?? 0)
}

function parseForm(body: Buffer, type: string): Record<string, unknown> {
  const latin1 = /charset=["']?(iso-8859-1|latin-?1|windows-1252)/.test(type)
  try {
    return qs.parse(body.toString(isUtf8(body) ? 'utf8' : 'latin1'), {
      charset: latin1 ? 'iso-8859-1' : 'utf-8',
      depth: 10,
      strictDepth: true,
      parameterLimit: 2000,
      throwOnLimitExceeded: true,
      arrayLimit: 1000,
      plainObjects: true,
    })
  } catch (error) {
    if (error instanceof RangeError)
      fail('malformed', `Form has too many or too deeply nested fields: ${error.message}`)
    throw error
  }
}

/** The fields of a multipart form. Files are not tickets: their names and sizes are kept, their bytes are in the raw body. */
function parseParts(type: string, header: string, body: Buffer): Record<string, unknown> {
  if (!type.startsWith('multipart/form-data'))
    fail('unsupported', `${type.slice(0, 40)} is not supported; send multipart/form-data`)
  const [, quoted, plain] = /boundary=(?:"([^"]{1,200})"|([^;\s"]{1,200}))/i.exec(header) ?? []
  const boundary =
    quoted ?? plain ?? fail('malformed', 'Body is not a valid multipart form: Content-Type names no boundary')
  const fields: Part[] = []
  const files: Record<string, unknown>[] = []
  try {
    for (const part of parseMultipart(body, { boundary, maxParts: MAX_PARTS, maxFileSize: body.length })) {
      const { name, filename, mediaType, charset } = headOf(part)
      if (filename !== undefined) files.push({ field: name, name: filename, type: mediaType, size: part.size })
      else if (name !== undefined) fields.push({ name, charset, bytes: part.bytes })
    }
  } catch (error) {
    if (error instanceof MaxPartsExceededError) fail('malformed', `Form has more than ${MAX_PARTS} parts`)
    if (error instanceof MultipartParseError) fail('malformed', `Body is not a valid multipart form: ${error.message}`)
    throw error
  }
  if (fields.length + files.length === 0) fail('malformed', 'Body is not a valid multipart form: it has no part')
  const form = new URLSearchParams(textsOf(fields))
  // A sender may use the name itself, for the number of its files.
  if (files.length > 0) form.set(form.has('attachments') ? 'attached_files' : 'attachments', JSON.stringify(files))
  return parseForm(Buffer.from(form.toString()), '')
}

type Part = { name: string; charset: string | undefined; bytes: Uint8Array }

type Head = { [key in 'name' | 'filename' | 'mediaType' | 'charset']?: string | undefined }

function headOf(part: MultipartPart): Head {
  try {
    const { name, filename, mediaType, headers } = part
    const charset = /;\s*charset="?([^";\s]{1,40})/i.exec(headers['content-type'] ?? '')?.[1]
    return { name, filename, mediaType, charset }
  } catch {
    // Only a file's name is ever written in another charset than UTF-8; the file is kept without it.
    return { filename: '' }
  }
}

/** Each field in the charset that its part declares, or that the form's own `charsets` field says (SendGrid does). */
function textsOf(fields: Part[]): [string, string][] {
  const listed = fields.find(({ name }) => name === 'charsets')
  const said = listed === undefined ? null : jsonOrNull(decodeText(listed.bytes, 'utf-8'))
  const charsets = isObject(said) ? said : {}
  return fields.map(({ name, charset, bytes }) => {
    const listedAs = Object.hasOwn(charsets, name) ? charsets[name] : undefined
    return [name, decodeText(bytes, charset ?? (typeof listedAs === 'string' ? listedAs : 'utf-8'))]
  })
}

/** A form's fields, or the JSON in its `payload` field, which is how some senders wrap it. */
function formPayload(form: Record<string, unknown>): unknown {
  const { payload } = form
  if (typeof payload === 'string' && /^\s*[{[]/.test(payload)) return parseJson(payload)
  checkBounds(form)
  return wellFormedValue(form)
}
