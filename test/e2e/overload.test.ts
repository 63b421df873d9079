import { afterEach, expect, test } from 'vitest'

import { discard, get, post, startTestServer, type TestServer } from '../server.ts'
import { exchange, httpRequest } from '../wire.ts'

let server: TestServer | undefined
afterEach(async () => {
  await discard(server)
  server = undefined
})

const TICKET = { title: 'a', description: 'b' }
const ONE_PETABYTE_MB = '1000000000'

async function shed({ url }: TestServer): Promise<Record<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Object.fromEntries(
    [...text.matchAll(/^ticketflow_shed_total\{reason="(\w+)"\} (\d+)$/gm)].map(([, name, count]) => [
      name,
      Number(count),
    ]),
  )
}

const linesWith = ({ output }: TestServer, text: string) =>
  output()
    .split('\n')
    .filter((line) => line.includes(text))

test('a disk below its floor: deliveries and changes get 503, reading works, health says so', async () => {
  server = await startTestServer({ TICKETFLOW_MIN_FREE_MB: '0' })
  expect((await post(server.webhook, TICKET)).status).toBe(200)
  await server.stop()
  const { dataDir } = server
  server = await startTestServer({ TICKETFLOW_DATA_DIR: dataDir, TICKETFLOW_MIN_FREE_MB: ONE_PETABYTE_MB })
  const { url, webhook } = server

  for (const path of [webhook, `${webhook}/batch`, `${url}/api/tickets`]) {
    const refused = await post(path, TICKET)
    expect(refused.status).toBe(503)
    expect(refused.json.detail).toMatch(/^The disk is nearly full/)
    expect(refused.headers.get('retry-after')).toBe('30')
    expect(refused.headers.get('x-request-id')).toBeTruthy()
  }
  const change = await fetch(`${url}/api/tickets/1`, { method: 'PATCH', body: '{"status":"closed"}' })
  expect(change.status).toBe(503)
  expect((await get(`${url}/api/tickets/1`)).json).toMatchObject({ title: 'a', status: 'new' })
  expect((await get(`${url}/api/tickets`)).status).toBe(200)
  expect((await fetch(webhook)).status).toBe(200)
  expect((await fetch(webhook, { method: 'HEAD' })).status).toBe(200)
  expect((await fetch(`${url}/livez`)).status).toBe(200)
  expect(await get(`${url}/readyz`)).toMatchObject({ status: 503, json: { detail: expect.stringMatching(/disk/) } })
  expect(await get(`${webhook}/health`)).toMatchObject({
    status: 503,
    json: { status: 'unhealthy', endpoint: 'webhook', supported_platforms: expect.any(Array) },
  })
  // What was refused early is counted, and not put on record.
  expect((await get(`${url}/api/deliveries`)).json.deliveries).toHaveLength(1)
  expect(await shed(server)).toEqual({ event_loop: 0, queue: 0, disk: 4, memory: 0 })
  await server.stop()
  expect(linesWith(server, 'overload: requests are refused')).toHaveLength(1)
  expect(linesWith(server, '"msg":"delivery"')).toEqual([])

  server = await startTestServer({ TICKETFLOW_DATA_DIR: dataDir, TICKETFLOW_MIN_FREE_MB: '0' })
  expect((await post(server.webhook, TICKET)).status).toBe(200)
  expect((await fetch(`${server.webhook}/health`)).status).toBe(200)
})

test('is refused before its body has come, and its connection lives on', async () => {
  server = await startTestServer({ TICKETFLOW_MIN_FREE_MB: ONE_PETABYTE_MB })
  const head = httpRequest({ headers: { 'content-length': '900000', connection: 'keep-alive' } })
  const next = httpRequest({ method: 'GET', path: '/livez' })
  const { answers } = await exchange(server.url, async (socket) => {
    socket.write(head)
    await new Promise((resolve) => socket.once('data', resolve)) // the answer to a body of which nothing was sent
    socket.write(Buffer.alloc(900_000, ' '))
    socket.write(next)
  })
  expect(answers.map(({ status }) => status)).toEqual([503, 200])
})

test('an event loop that stood still sheds what is work, and takes it again by itself', async () => {
  server = await startTestServer({ TICKETFLOW_MAX_LOOP_DELAY_MS: '1000' })
  const { url, webhook, child } = server
  expect((await post(webhook, TICKET)).status).toBe(200)
  child.kill('SIGSTOP')
  await new Promise((resolve) => setTimeout(resolve, 2500))
  child.kill('SIGCONT')
  await expect.poll(async () => (await post(webhook, TICKET)).status, { interval: 20 }).toBe(503)
  const [refused, read] = [await post(webhook, TICKET), await fetch(`${url}/api/tickets`)]
  expect(refused.json.detail).toMatch(/^The server is overloaded/)
  expect([refused.status, refused.headers.get('retry-after'), read.status]).toEqual([503, '2', 503])
  expect((await fetch(`${webhook}/health`)).status).toBe(200)
  expect((await fetch(`${url}/livez`)).status).toBe(200)
  await expect.poll(async () => (await post(webhook, TICKET)).status, { timeout: 10_000 }).toBe(200)
  expect((await fetch(`${url}/readyz`)).status).toBe(200)
  const { event_loop: count } = await shed(server)
  expect(count).toBeGreaterThanOrEqual(3)
  // All that was acknowledged is there, and nothing that was refused is.
  const { deliveries } = (await get(`${url}/api/deliveries?limit=200`)).json
  expect(deliveries.every(({ status }: { status: number }) => status === 200)).toBe(true)
  await expect.poll(() => linesWith(server as TestServer, 'overload is over'), { timeout: 10_000 }).toHaveLength(1)
  expect(linesWith(server, 'overload: requests are refused')).toHaveLength(1)
})

test('honest load from 256 connections sheds nothing', async () => {
  server = await startTestServer({ TICKETFLOW_MAX_LOOP_DELAY_MS: '1000' })
  const { webhook } = server
  const statuses = new Set<number>()
  const sender = async () => {
    for (let count = 0; count < 12; count += 1) statuses.add((await post(webhook, TICKET)).status)
  }
  await Promise.all(Array.from({ length: 256 }, sender))
  expect([...statuses]).toEqual([200])
  expect(await shed(server)).toEqual({ event_loop: 0, queue: 0, disk: 0, memory: 0 })
})

test('a queue near its bound sheds, and every delivery that was taken is stored', async () => {
  server = await startTestServer({ TICKETFLOW_MAX_QUEUED: '10' })
  const { url, webhook } = server
  const answers: number[] = []
  const sender = async () => {
    for (let count = 0; count < 10; count += 1) answers.push((await post(webhook, TICKET)).status)
  }
  await Promise.all(Array.from({ length: 128 }, sender))
  const taken = answers.filter((status) => status === 200).length
  expect(new Set(answers)).toEqual(new Set([200, 503]))
  const { queue } = await shed(server)
  expect(queue).toBeGreaterThan(0)
  expect((await get(`${url}/api/tickets?limit=1`)).json.tickets[0].id).toBe(taken)
  expect((await post(webhook, TICKET)).status).toBe(200)
  expect((await fetch(`${url}/readyz`)).status).toBe(200)
})

test('memory over its bound sheds reading too; what watches the server is answered', async () => {
  server = await startTestServer({ TICKETFLOW_MAX_MEMORY_MB: '1' })
  const { url, webhook } = server
  await expect.poll(async () => (await post(webhook, TICKET)).status).toBe(503)
  expect((await post(webhook, TICKET)).json.detail).toMatch(/^The server is short of memory/)
  expect((await fetch(`${url}/api/tickets`)).status).toBe(503)
  expect((await fetch(`${url}/livez`)).status).toBe(200)
  expect((await fetch(`${url}/readyz`)).status).toBe(503)
  expect((await shed(server))['memory']).toBeGreaterThan(0)
})
