import { connect, type Socket } from 'node:net'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { discard, post, startTestServer, type TestServer } from '../server.ts'
import { exchange, httpRequest } from '../wire.ts'

const IDLE = 2_000
const BOUND = 1_000
const TICKET = { title: 'honest', description: 'd' }

let server: TestServer
const crowd: Socket[] = []
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(async () => {
  for (const socket of crowd) socket.destroy()
  await discard(server)
})

const counted = async () => {
  const text = await (await fetch(`${server.url}/metrics`)).text()
  return Number(/^ticketflow_connections_closed_total\{why="address"\} (\d+)$/m.exec(text)?.[1] ?? 0)
}

test('two thousand idle connections of one address lock nobody out, and half of them are closed at once', async () => {
  const port = Number(new URL(server.url).port)
  const open = () =>
    new Promise<Socket>((resolve) => {
      const socket = connect({ host: '127.0.0.1', port }, () => resolve(socket))
      socket.on('error', () => resolve(socket))
    })
  for (let round = 0; round < IDLE / 200; round += 1) {
    crowd.push(...(await Promise.all(Array.from({ length: 200 }, open))))
    // From the same address as the crowd.
    expect((await post(server.webhook, TICKET)).status).toBe(200)
  }
  const { answers } = await exchange(server.url, (socket) => {
    socket.write(httpRequest({ body: JSON.stringify(TICKET) }))
  })
  expect(answers.map(({ status }) => status)).toEqual([200])
  expect(await counted()).toBeGreaterThanOrEqual(IDLE - BOUND)
  expect(await counted()).toBeLessThan(IDLE)
})
