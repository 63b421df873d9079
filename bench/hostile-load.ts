// The attackers, a process of its own on the load's core. Bare sockets: each keeps sending until all have sent enough.
import { connect, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'

export type HostileJob = { port: number; requests: number; key: string; connections: number; slow: number }
export type HostileResult = {
  /** Answers by kind and status. */
  answers: Record<string, number>
  /** Answers to requests to a webhook path, by status. */
  webhook: Record<string, number>
  seconds: number
}

const PATH = '/api/integrations/webhook'
const LOOPBACK = 8

type Attack = { kind: string; path: string; request: (index: number) => Buffer }

const post = (path: string, body: string | Buffer, headers: string[] = []): Buffer => {
  const bytes = Buffer.from(body)
  const head = [`POST ${path} HTTP/1.1`, 'Host: localhost', `Content-Length: ${bytes.length}`, ...headers]
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), bytes])
}

const ticket = JSON.stringify({ title: 'Hello', description: 'x'.repeat(800) })
const bomb = gzipSync(Buffer.alloc(50_000_000))
const deep = `{"title":"a","description":"b","metadata":${'['.repeat(5000)}${']'.repeat(5000)}}`
const wide = `{${Array.from({ length: 20_000 }, (_, index) => `"k${index}":1`).join(',')}}`

/** `good` are headers that let the sender in: what somebody with a key can do is worse than what a stranger can. */
const attacks = (key: string): Attack[] => {
  const good = [`X-API-Key: ${key}`]
  return [
    { kind: 'wrong key', path: PATH, request: (index) => post(PATH, ticket, [`X-API-Key: tf_${index}`]) },
    { kind: 'no key', path: PATH, request: () => post(PATH, ticket) },
    { kind: 'bad signature', path: PATH, request: (index) => post(`${PATH}/hooks`, ticket, signature(index)) },
    { kind: 'wrong network', path: PATH, request: (index) => post(`${PATH}/good`, ticket, signature(index)) },
    { kind: 'unknown source', path: PATH, request: (index) => post(`${PATH}/s${index}`, ticket) },
    { kind: 'no address', path: '', request: (index) => Buffer.from(`GET /x${index} HTTP/1.1\r\nHost: a\r\n\r\n`) },
    { kind: 'bomb', path: PATH, request: () => post(PATH, bomb, [...good, 'Content-Encoding: gzip']) },
    { kind: 'deep', path: PATH, request: () => post(PATH, deep, good) },
    { kind: 'wide', path: PATH, request: () => post(PATH, wide, good) },
    { kind: 'broken', path: PATH, request: () => post(PATH, '{"title": "a', good) },
    { kind: 'xml', path: PATH, request: () => post(PATH, '<a/>', good) },
    { kind: 'too large', path: PATH, request: () => post(PATH, Buffer.alloc(1_100_000, 97), good) },
  ]
}

/** How many of a hundred requests each of them is: the costly ones come less often, as they cost their sender too. */
const SHARES = [25, 15, 20, 10, 10, 10, 1, 2, 1, 3, 2, 1]

const signature = (index: number) => [
  `Webhook-Id: msg_${index}`,
  `Webhook-Timestamp: ${Math.floor(Date.now() / 1000)}`,
  'Webhook-Signature: v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=',
]

process.on('message', (job: HostileJob) => {
  run(job).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      process.stderr.write(`hostile: ${String(error)}\n`)
      process.exit(1)
    },
  )
})
process.on('disconnect', () => process.exit(0))

async function run({ port, requests, key, connections, slow }: HostileJob): Promise<HostileResult> {
  const plan = attacks(key).flatMap((attack, index) => Array.from({ length: SHARES[index] ?? 0 }, () => attack))
  const result: HostileResult = { answers: {}, webhook: {}, seconds: 0 }
  const start = performance.now()
  const drips = Array.from({ length: slow }, (_, index) => drip(port, index))
  let sent = 0
  const next = (): Attack | null => {
    sent += 1
    // A stride that meets them all, so that none comes in a row.
    return sent > requests ? null : (plan[(sent * 37) % plan.length] ?? null)
  }
  const note = (attack: Attack, status: number | 'closed') => {
    count(result.answers, `${attack.kind} ${status}`)
    if (attack.path !== '') count(result.webhook, String(status))
  }
  await Promise.all(
    Array.from({ length: connections }, async (_, index) => {
      for (let attack = next(); attack !== null; attack = next()) {
        await converse(port, index, { first: attack, next, note, sent: () => sent })
      }
    }),
  )
  for (const { socket, timer } of drips) {
    clearInterval(timer)
    socket.destroy()
  }
  return { ...result, seconds: (performance.now() - start) / 1000 }
}

const count = (counts: Record<string, number>, name: string) => (counts[name] = (counts[name] ?? 0) + 1)

type Talk = {
  first: Attack
  next: () => Attack | null
  note: (attack: Attack, status: number | 'closed') => void
  sent: () => number
}

/** One connection, for as long as the server keeps it. */
function converse(port: number, index: number, { first, next, note, sent }: Talk): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: `127.0.0.${3 + (index % LOOPBACK)}` })
    let attack: Attack | null = first
    let read = ''
    const send = () => attack !== null && socket.write(attack.request(sent()))
    socket.on('connect', send)
    socket.on('data', (chunk: Buffer) => {
      read += chunk.toString('latin1')
      const end = read.indexOf('\r\n\r\n')
      if (end < 0) return
      const length = Number(/content-length: (\d+)/i.exec(read)?.[1] ?? 0)
      if (read.length < end + 4 + length) return
      if (attack !== null) note(attack, Number(read.slice(9, 12)))
      const closes = /connection: close/i.test(read.slice(0, end))
      read = ''
      attack = next()
      if (attack === null || closes) {
        // What was drawn and not sent goes out over the next connection.
        const left = attack
        attack = null
        socket.destroy()
        if (left !== null) void converse(port, index, { first: left, next, note, sent }).then(resolve)
        else resolve()
      } else send()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      if (attack !== null) note(attack, 'closed')
      if (attack !== null || read !== '') resolve()
      attack = null
    })
  })
}

/** A connection that sends a byte a second: of its head, or of its body. */
function drip(port: number, index: number): { socket: Socket; timer: NodeJS.Timeout } {
  const socket = connect({ port, host: '127.0.0.1', localAddress: `127.0.0.${3 + (index % LOOPBACK)}` })
  socket.on('error', () => {})
  if (index % 2 === 0) socket.write(`POST ${PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n`)
  else socket.write(`POST ${PATH} HTTP/1.1\r\nHost: a\r\n`)
  const timer = setInterval(() => socket.writable && socket.write(index % 2 === 0 ? 'x' : 'X-A: b\r\n'), 1000)
  return { socket, timer }
}
