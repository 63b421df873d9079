export type Answer = {
  status: number
  headers: Headers
  text: string
  /** Undefined when the text is no JSON. */
  json: unknown
}

/** A line of an answer that comes bit by bit. */
export type OnLine = (line: unknown) => void

export type Call = (
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  request?: { body?: unknown; headers?: Record<string, string>; onLine?: OnLine },
) => Promise<Answer>

/** There was no answer at all; says in a sentence why, and what to do. */
export class Unreachable extends Error {
  constructor(message: string, cause: unknown) {
    super(message, { cause })
    this.name = 'Unreachable'
  }
}

/** Requests to one server. A body that is text goes out as it is, anything else as JSON. Throws Unreachable. */
export function createCall(base: string, timeoutSeconds: number, key?: string): Call {
  return async (method, path, { body, headers = {}, onLine } = {}) => {
    try {
      const response = await fetch(base + path, {
        method,
        headers: {
          ...(key !== undefined && { 'x-api-key': key }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        redirect: 'manual',
        signal: AbortSignal.timeout(timeoutSeconds * 1000),
      })
      const text = await textOf(response, onLine)
      return { status: response.status, headers: response.headers, text, json: jsonOf(text) }
    } catch (error) {
      throw new Unreachable(reasonOf(error, base, timeoutSeconds), error)
    }
  }
}

async function textOf(response: Response, onLine: OnLine | undefined): Promise<string> {
  if (onLine === undefined || response.body === null) return response.text()
  let text = ''
  let read = 0
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    text += piece
    for (let end = text.indexOf('\n', read); end >= 0; end = text.indexOf('\n', read)) {
      onLine(jsonOf(text.slice(read, end)))
      read = end + 1
    }
  }
  return text
}

/** The server's address without what may follow it: people give the webhook's own, or leave out `http://`. */
export function baseOf(url: string): string | null {
  const text = url.includes('://') ? url : `http://${url}`
  if (!URL.canParse(text)) return null
  const { protocol, origin, pathname } = new URL(text)
  if (protocol !== 'http:' && protocol !== 'https:') return null
  return origin + pathname.replace(/\/(api\/integrations\/webhook.*)?$/, '')
}

/** Undefined where the text is no JSON. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** There is no switch to overlook it: the key would go to whoever answers. */
const UNTRUSTED: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

function reasonOf(error: unknown, base: string, timeoutSeconds: number): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  if (error instanceof Error && error.name === 'TimeoutError')
    return `No answer from ${base} within ${timeoutSeconds} s; --timeout allows it more`
  if (code === 'ECONNREFUSED')
    return `Nothing listens at ${base}; start the server (npm start) or give the address that it listens at`
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `The host of ${base} has no address; is its name right?`
  if (cause instanceof Error && cause.name === 'HTTPParserError')
    return `What listens at ${base} does not speak HTTP; is the port right?`
  if (UNTRUSTED.has(code))
    return `The certificate of ${base} is signed by nobody this machine trusts (${code}); NODE_EXTRA_CA_CERTS=file.pem names who signed it`
  if (code === 'UND_ERR_SOCKET' && base.startsWith('http:'))
    return `No answer from ${base}: it closed the connection; if the server has TLS, give its address with https://`
  return `No answer from ${base}: ${cause instanceof Error ? cause.message : String(cause)}`
}
