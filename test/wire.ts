import { connect, type Socket } from 'node:net'

type Answer = { status: number; headers: Record<string, string>; body: string }

/** What came back on a connection by the time the server closed it. */
export type Exchange = { answers: Answer[]; raw: string; ms: number; closed: boolean; sent: number }

const LIMIT_MS = 12_000

/**
 * Writes these bytes as they are on a connection of its own, and reads until the server closes it. A function may write
 * by itself instead, for as long as the socket is writable. `closed` is false when the server had to be given up on.
 */
export function exchange(url: string, write: string | Uint8Array | ((socket: Socket) => unknown)): Promise<Exchange> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  const started = performance.now()
  const chunks: Buffer[] = []
  return new Promise((resolve) => {
    let closed = true
    const giveUp = setTimeout(() => {
      closed = false
      socket.destroy()
    }, LIMIT_MS)
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('error', () => {}) // a reset is one way for the server to close
    socket.on('close', () => {
      clearTimeout(giveUp)
      const raw = Buffer.concat(chunks).toString('latin1')
      resolve({ answers: answersIn(raw), raw, ms: performance.now() - started, closed, sent: socket.bytesWritten })
    })
    socket.on('connect', () => {
      if (typeof write === 'function') write(socket)
      else socket.write(write)
    })
  })
}

/** One HTTP/1.1 request as text: a body is given its true length unless the headers say otherwise. */
export function httpRequest(options: {
  method?: string
  path?: string
  headers?: Record<string, string>
  body?: string | Uint8Array
}): Buffer {
  const { method = 'POST', path = '/api/integrations/webhook', headers = {}, body = '' } = options
  const bytes = Buffer.from(body)
  const all: Record<string, string> = { host: 'localhost', connection: 'close', ...headers }
  if (!('content-length' in all) && !('transfer-encoding' in all)) all['content-length'] = String(bytes.length)
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1'), bytes])
}

function answersIn(raw: string): Answer[] {
  const answers: Answer[] = []
  let rest = raw
  while (rest.startsWith('HTTP/1.1 ')) {
    const end = rest.indexOf('\r\n\r\n')
    if (end < 0) break
    const [first = '', ...lines] = rest.slice(0, end).split('\r\n')
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    )
    const length = Number(headers['content-length'] ?? 0)
    const body = Buffer.from(rest.slice(end + 4, end + 4 + length), 'latin1').toString('utf8')
    const status = Number(first.split(' ')[1])
    if (status !== 100) answers.push({ status, headers, body })
    rest = rest.slice(end + 4 + length)
  }
  return answers
}

/** One chunk of a chunked body. */
export const chunk = (data: string | Uint8Array) =>
  Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), Buffer.from(data), Buffer.from('\r\n')])

export const lastChunk = '0\r\n\r\n'

/** A body and what its sender calls it. */
export const typed = (type: string, body: string | Uint8Array) => ({ headers: { 'content-type': type }, body })

/** A multipart form of these parts, each without its `Content-Disposition: form-data`. */
export const multipart = (...parts: string[]) =>
  typed(
    'multipart/form-data; boundary=B',
    `${parts.map((part) => `--B\r\nContent-Disposition: form-data; ${part}\r\n`).join('')}--B--\r\n`,
  )

export const field = (name: string, value: string) => `name="${name}"\r\n\r\n${value}`

/** Writes the head at once, then a character every half second for as long as the connection stands. */
export const drip =
  (text: string, head = '') =>
  (socket: Socket) => {
    socket.write(head)
    let index = 0
    const timer = setInterval(() => socket.write(text[index++ % text.length] ?? ' '), 500)
    socket.on('close', () => clearInterval(timer))
  }

/** Writes this block again and again, as fast as the connection takes it, until `total` bytes are through. */
export const pour = (socket: Socket, block: Uint8Array, total: number) => {
  let left = total
  const more = () => {
    while (left > 0 && socket.writable) {
      left -= block.length
      if (!socket.write(block)) return void socket.once('drain', more)
    }
  }
  more()
}

/** Asks until there is something, for a second at most. */
export async function eventually(ask: () => Promise<unknown[]>): Promise<unknown[]> {
  for (let attempt = 0; attempt < 20; attempt++) {
    const found = await ask()
    if (found.length > 0) return found
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return []
}
