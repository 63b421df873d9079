import { rm, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { indexPath, storePath } from '../../src/store/sqlite-files.ts'
import { discard, get, post, startTestServer, type TestServer } from '../server.ts'

let server: TestServer | undefined
afterEach(() => discard(server))

const good = { title: 'Title', description: 'Description' }

async function until(condition: () => boolean | Promise<boolean>, ms = 10_000): Promise<void> {
  const deadline = Date.now() + ms
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('the condition did not come true in time')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s: what is in flight is answered, then the process ends with 0 and a small log',
  async (signal) => {
    server = await startTestServer()
    const { webhook, dataDir } = server
    const sent = Array.from({ length: 200 }, (_, index) => post(webhook, { ...good, title: `t${index}` }))
    const settled = Promise.allSettled(sent)
    await sent[0]
    const started = Date.now()
    const code = await server.stop(signal)
    expect(code).toBe(0)
    expect(Date.now() - started).toBeLessThan(10_000)
    const answers = await settled
    const acknowledged = answers.filter((answer) => answer.status === 'fulfilled' && answer.value.status === 200)
    // A clean stop leaves all in the database itself: no log to replay.
    await expect(stat(`${storePath(dataDir)}-wal`)).rejects.toThrow('ENOENT')

    server = await startTestServer({ TICKETFLOW_DATA_DIR: dataDir })
    const { tickets } = (await get(`${server.url}/api/tickets?limit=200`)).json
    expect(tickets.length).toBeGreaterThanOrEqual(acknowledged.length)
  },
)

test('a sender that never finishes its request does not hold up the stop', async () => {
  server = await startTestServer()
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  socket.on('error', () => {})
  socket.write('POST /api/integrations/webhook HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"title"')
  await new Promise((resolve) => socket.once('connect', resolve))
  const started = Date.now()
  expect(await server.stop('SIGTERM')).toBe(0)
  expect(Date.now() - started).toBeLessThan(10_000)
  socket.destroy()
})

test('a server whose log nobody reads any more goes on, and stops when it is told to', async () => {
  server = await startTestServer()
  server.child.stdout?.destroy()
  server.child.stderr?.destroy()
  for (let index = 0; index < 3; index += 1) {
    expect((await post(server.webhook, { title: 'a', description: 'b' })).status).toBe(200)
  }
  const asked = Date.now()
  expect(await server.stop()).toBe(0)
  expect(Date.now() - asked).toBeLessThan(5_000)
})

test('one log line a delivery with its facts; no body, no secret', async () => {
  server = await startTestServer()
  const { output } = server
  const { json } = await post(
    `${server.webhook}?token=planted-token&shop=9`,
    { title: 'planted-title', description: 'planted-description' },
    { Authorization: 'Bearer planted-secret', 'X-API-Key': 'planted-key' },
  )
  await until(() => output().includes('"delivery"'))
  const lines = output().trim().split('\n')
  const line = lines.map((text) => JSON.parse(text)).find(({ msg }) => msg === 'delivery')
  expect(line).toMatchObject({
    outcome: 'created',
    status: 200,
    ticket: json.id,
    delivery: expect.any(Number),
    method: 'POST',
    address: '127.0.0.1',
    path: '/api/integrations/webhook',
    bytes: expect.any(Number),
    ms: expect.any(Number),
    request_id: expect.any(String),
  })
  expect(output()).not.toContain('planted')
  const { headers } = (await get(`${server.url}/api/deliveries/${line.delivery}`)).json
  expect(headers).toMatchObject({ authorization: '***', 'x-api-key': '***' })
})

test('a disk that takes no more: 503 and Retry-After, unhealthy, and all that was acknowledged is there', async () => {
  server = await startTestServer({}, { maxFileBytes: 1_500_000 })
  const { dataDir } = server
  const { webhook } = server
  const acknowledged: number[] = []
  let refused: Awaited<ReturnType<typeof post>> | undefined
  const isUnhealthy = async () => (await get(`${webhook}/health`)).status === 503
  await until(async () => {
    const answer = await post(webhook, { title: 'filling up', description: 'x'.repeat(5000) })
    if (answer.status === 200) acknowledged.push(answer.json.id)
    else refused = answer
    return answer.status !== 200 && (await isUnhealthy())
  }, 20_000)
  expect(refused?.status).toBe(503)
  expect(refused?.json.detail).toContain('cannot commit')
  expect(refused?.headers.get('retry-after')).toBe('1')
  expect(acknowledged.length).toBeGreaterThan(10)
  expect((await get(`${webhook}/health`)).json).toMatchObject({ status: 'unhealthy', endpoint: 'webhook' })
  expect((await get(`${server.url}/readyz`)).status).toBe(503)
  expect((await get(`${server.url}/livez`)).status).toBe(200)
  await server.stop('SIGKILL')

  server = await startTestServer({ TICKETFLOW_DATA_DIR: dataDir })
  for (const id of acknowledged) expect((await get(`${server.url}/api/tickets/${id}`)).status).toBe(200)
  expect((await post(server.webhook, good)).status).toBe(200)
  expect((await get(`${server.webhook}/health`)).json.status).toBe('healthy')
})

test('a full queue: 503 and Retry-After for what it has no room for, and all that was acknowledged is there', async () => {
  server = await startTestServer({ TICKETFLOW_MAX_QUEUED: '2' })
  const { webhook, url } = server
  const answers = await Promise.all(Array.from({ length: 100 }, () => post(webhook, good)))
  const refused = answers.filter(({ status }) => status === 503)
  const acknowledged = answers.filter(({ status }) => status === 200)
  expect(refused.length).toBeGreaterThan(0)
  expect(acknowledged.length + refused.length).toBe(100)
  for (const { headers, json } of refused)
    expect([headers.get('retry-after'), typeof json.detail]).toEqual(['1', 'string'])
  expect((await get(`${url}/api/tickets?limit=200`)).json.tickets).toHaveLength(acknowledged.length)
})

test('the search index is derived: damaged or gone, it is made anew', async () => {
  server = await startTestServer()
  const { dataDir } = server
  await post(server.webhook, { title: 'findable', description: 'd' })
  const find = async (url: string) => (await get(`${url}/api/tickets?q=findable`)).json.tickets.length
  expect(await find(server.url)).toBe(1)
  for (const damage of [
    () => writeFile(indexPath(dataDir), 'no database at all, '.repeat(500)),
    () => rm(indexPath(dataDir)),
  ]) {
    await server.stop()
    await damage()
    server = await startTestServer({ TICKETFLOW_DATA_DIR: dataDir })
    expect(await find(server.url)).toBe(1)
  }
})
