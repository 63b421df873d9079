import { createServer, type RequestListener } from 'node:http'
import { connect, type Socket } from 'node:net'

import { afterEach, expect, test } from 'vitest'

import { boundConnections, type Closed, type ConnectionBounds } from '../../src/http/connections.ts'
import { listening } from '../cli.ts'

const MANY = 10_000
const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const SLOW_BODY = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{'

let sockets: Socket[] = []
afterEach(() => {
  for (const socket of sockets) socket.destroy()
  sockets = []
})

type Bounded = { port: number; closed: Closed[]; open: () => number }

const bounded = (bounds: Partial<ConnectionBounds>, listener: RequestListener, use: (on: Bounded) => Promise<void>) => {
  const closed: Closed[] = []
  const server = createServer(listener)
  const all = { total: MANY, perAddress: MANY, trustedProxies: [], answerMs: 60_000, ...bounds }
  const { open, stop } = boundConnections(server, all, (why) => closed.push(why))
  return listening(server, (port) => use({ port, closed, open })).finally(stop)
}

/** A connection from that address on which this was written. */
async function from(localAddress: string, port: number, bytes = ''): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, localAddress })
  sockets.push(socket)
  socket.on('error', () => {})
  socket.on('data', () => {})
  await new Promise((resolve) => socket.once('connect', resolve))
  socket.write(bytes)
  return socket
}

const several = (count: number, one: () => Promise<Socket>) => Promise.all(Array.from({ length: count }, one))

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    if (condition()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  expect.fail('it did not come about in five seconds')
}

const answered = (socket: Socket) => socket.bytesRead > 0
const echo: RequestListener = (request, response) => void request.resume().on('end', () => response.end('ok'))

test.each([
  ['idle', ''],
  ['slow in their headers', 'GET / HTTP/1.1\r\nX: '],
  ['slow in their body', SLOW_BODY],
  ['done with a request', REQUEST],
])('connections that are %s give way to a new one of the same address', (_name, bytes) =>
  bounded({ perAddress: 5 }, echo, async ({ port, closed, open }) => {
    const crowd = await several(20, () => from('127.0.0.1', port, bytes))
    await until(() => closed.length === 15)
    const honest = await from('127.0.0.1', port, REQUEST)
    await until(() => answered(honest))
    expect(new Set(closed)).toEqual(new Set(['address']))
    await until(() => crowd.filter(({ closed: gone }) => gone).length === 16)
    expect(open()).toBe(5)
  }),
)

test('one that was answered before stays, as long as there are others that never asked', () =>
  bounded({ perAddress: 4 }, echo, async ({ port, closed }) => {
    const faithful = await from('127.0.0.1', port, REQUEST)
    await until(() => answered(faithful))
    await several(20, () => from('127.0.0.1', port))
    await until(() => closed.length === 17)
    faithful.write(REQUEST)
    const before = faithful.bytesRead
    await until(() => faithful.bytesRead > before)
  }))

test('one whose request is being worked on gives way to nobody', async () => {
  const release: (() => void)[] = []
  const hold: RequestListener = (_request, response) => void release.push(() => response.end('ok'))
  await bounded({ perAddress: 3 }, hold, async ({ port, closed }) => {
    const busy = await several(3, () => from('127.0.0.1', port, REQUEST))
    await until(() => release.length === 3)
    await several(10, () => from('127.0.0.1', port))
    await until(() => closed.length === 10)
    for (const answer of release) answer()
    await until(() => busy.every(answered))
  })
})

test('where the server is full, whoever has most gives way, and all others keep theirs', () =>
  bounded({ total: 10 }, echo, async ({ port, closed, open }) => {
    const others = [await from('127.0.0.2', port, REQUEST), await from('127.0.0.3', port)]
    await several(30, () => from('127.0.0.1', port))
    await until(() => closed.length === 22)
    const late = await from('127.0.0.4', port, REQUEST)
    await until(() => answered(late))
    expect(new Set(closed)).toEqual(new Set(['total']))
    expect(others.map(({ closed: gone }) => gone)).toEqual([false, false])
    expect(open()).toBe(10)
  }))

test('a trusted proxy stands for many, and has no bound of its own', () =>
  bounded({ perAddress: 3, trustedProxies: ['127.0.0.1', '127.0.1.0/24'] }, echo, async ({ port, closed, open }) => {
    await several(8, () => from('127.0.0.1', port))
    await several(8, () => from('127.0.1.9', port))
    await several(8, () => from('127.0.0.2', port))
    await until(() => closed.length === 5)
    expect(open()).toBe(19)
  }))

test('an answer that nobody reads is given up; one that is read, or that has just begun, is not', () => {
  const large = Buffer.alloc(30_000_000)
  return bounded(
    { answerMs: 400 },
    (_request, response) => void response.end(large),
    async ({ port, closed }) => {
      const deaf = await from('127.0.0.1', port)
      deaf.pause()
      deaf.write(REQUEST)
      const reader = await from('127.0.0.1', port, REQUEST)
      const idle = await from('127.0.0.1', port)
      await until(() => closed.length === 1)
      await until(() => reader.bytesRead > large.length)
      expect([closed, reader.closed, idle.closed]).toEqual([['unread'], false, false])
    },
  )
})

test('what is closed by its sender is counted no more', () =>
  bounded({ perAddress: 5 }, echo, async ({ port, closed, open }) => {
    for (let round = 0; round < 3; round += 1) {
      for (const socket of await several(5, () => from('127.0.0.1', port, REQUEST))) socket.destroy()
      await until(() => open() === 0)
    }
    expect(closed).toEqual([])
  }))
