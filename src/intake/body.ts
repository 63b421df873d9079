import { isUtf8 } from 'node:buffer'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate } from 'node:zlib'

import { Busboy } from '@fastify/busboy'
import qs from 'qs'

import { AppError, fail } from '../core/errors.ts'
import { checkBounds, parseJson, wellFormedValue } from '../core/json.ts'
import { headerOf, type RawRequest } from './request.ts'

const DECODERS = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
}

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
export async function parseBody(request: RawRequest, body: Buffer): Promise<unknown> {
  const header = headerOf(request, 'content-type') ?? ''
  const type = header.toLowerCase()
  if (type.startsWith('multipart/')) return formPayload(await parseMultipart(type, header, body))
  const first = firstCharacter(body)
  const isForm = type.startsWith('application/x-www-form-urlencoded')
  if (first === '<' || /[/+]xml\b/.test(type)) {
    fail('unsupported', 'XML is not supported; choose JSON or form encoding at the sender')
  }
  if (isForm && first !== '{' && first !== '[') return formPayload(parseForm(body, type))
  if (!isUtf8(body)) fail('malformed', 'Body is not valid UTF-8')
  return parseJson(body.toString('utf8'))
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
async function parseMultipart(type: string, header: string, body: Buffer): Promise<Record<string, unknown>> {
  if (!type.startsWith('multipart/form-data'))
    fail('unsupported', `${type.slice(0, 40)} is not supported; send multipart/form-data`)
  const pairs: [string, string][] = []
  const files: Record<string, unknown>[] = []
  try {
    await new Promise<void>((resolve, reject) => {
      const parser = Busboy({
        headers: { 'content-type': header },
        limits: { fields: 2000, files: 100, parts: 2000, fieldSize: body.length, headerPairs: 100 },
      })
      parser.on('field', (name, value) => pairs.push([name, value]))
      parser.on('file', (...[field, stream, name, , contentType]) => {
        let size = 0
        stream.on('data', (chunk: Buffer) => (size += chunk.length))
        stream.on('end', () => files.push({ field, name, type: contentType, size }))
        // A form that ends inside a file is told here alone, and an error that nobody hears ends the process.
        stream.on('error', reject)
      })
      parser.on('partsLimit', () => reject(new AppError('malformed', 'Form has more than 2000 parts')))
      parser.on('error', reject)
      parser.on('finish', resolve)
      Readable.from([body]).pipe(parser)
    })
  } catch (error) {
    if (error instanceof AppError) throw error
    fail('malformed', `Body is not a valid multipart form: ${error instanceof Error ? error.message : ''}`)
  }
  const form = new URLSearchParams(pairs)
  if (files.length > 0) form.set('attachments', JSON.stringify(files))
  return parseForm(Buffer.from(form.toString()), '')
}

/** A form's fields, or the JSON in its `payload` field, which is how some senders wrap it. */
function formPayload(form: Record<string, unknown>): unknown {
  const { payload } = form
  if (typeof payload === 'string' && /^\s*[{[]/.test(payload)) return parseJson(payload)
  checkBounds(form)
  return wellFormedValue(form)
}
