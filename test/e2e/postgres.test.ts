import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { run } from '../cli.ts'
import { startPostgres, type TestPostgres } from '../postgres.ts'
import { discard, get, post, startTestServer, type TestServer } from '../server.ts'

const SECRET_KEY = 'the same secret key for both nodes'

/** A slow machine is no fault of the server's. */
const PATIENCE = { timeout: 60_000, interval: 100 }

let postgres: TestPostgres
let url: string
let servers: TestServer[] = []

// A database server of its own, to be crashed, and two nodes on it.
beforeAll(async () => {
  postgres = await startPostgres({ own: true })
  url = await postgres.database()
  servers = await Promise.all(
    ['one', 'two'].map((node) =>
      startTestServer({
        DATABASE_URL: url,
        TICKETFLOW_NODE_ID: node,
        TICKETFLOW_SECRET_KEY: SECRET_KEY,
      }),
    ),
  )
}, 180_000)
afterAll(async () => {
  for (const server of servers) await discard(server)
  await postgres?.stop()
})

const [one, two] = [() => servers[0] as TestServer, () => servers[1] as TestServer] // started before every test
const cli = (...args: string[]) =>
  run(
    process.execPath,
    ['bin/ticketflow.js', ...args],
    { DATABASE_URL: url, TICKETFLOW_DATA_DIR: one().dataDir, TICKETFLOW_SECRET_KEY: SECRET_KEY },
    120_000,
  )

test('the specification’s requests are answered as it says', async () => {
  const { code, stdout } = await cli('check', one().url, '--timeout', '60')
  expect(stdout).not.toContain('FAIL')
  expect(code).toBe(0)
}, 120_000)

test('what one node took is there at the other, and is not taken twice', async () => {
  const body = {
    id: 'ext-1',
    platform: 'custom',
    title: 'Printer on fire',
    description: 'It burns',
    priority: 'urgent',
  }
  const first = await post(one().webhook, body)
  expect(first).toMatchObject({ status: 200, json: { title: 'Printer on fire', priority: 'urgent' } })
  const again = await post(two().webhook, body)
  expect(again.text).toBe(first.text)
  expect(again.headers.get('idempotency-replayed')).toBe('true')
  expect((await get(`${two().url}/api/tickets/${first.json.id}`)).json).toMatchObject({ id: first.json.id })
  expect((await get(`${two().url}/api/tickets?q=burns`)).json.tickets).toMatchObject([{ id: first.json.id }])
  const many = await post(`${two().webhook}/batch`, [{ ...body, id: 'ext-2' }, { title: '' }])
  expect(many.json).toMatchObject({ created_count: 1, failed_count: 1 })
})

test('a body of any bytes is refused or taken, and never a fault', async () => {
  for (const body of [
    '{"title":"a\\u0000b","description":"\\u0000","id":"\\u0000"}',
    '\0',
    Uint8Array.of(0xff, 0, 0xfe),
  ]) {
    const { status } = await post(one().webhook, body)
    expect([200, 400]).toContain(status)
  }
  expect((await get(`${one().url}/api/tickets?category=a%00b&q=%00`)).status).toBeLessThan(500)
})

test('while the database is down senders are told to come again, and what they send then is taken', async () => {
  const send = (id: string) => post(one().webhook, { id, platform: 'custom', title: id, description: 'd' })
  await send('before')
  const { promise: until, resolve: recover } = Promise.withResolvers<void>()
  const back = postgres.crash({ until })
  await vi.waitFor(async () => {
    const { status, headers } = await send('meanwhile')
    expect(status).toBe(503)
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
  }, PATIENCE)
  expect((await get(`${one().webhook}/health`)).status).toBe(503)
  recover()
  await back
  await vi.waitFor(async () => expect((await send('meanwhile')).status).toBe(200), PATIENCE)
  await vi.waitFor(async () => expect((await get(`${two().webhook}/health`)).status).toBe(200), PATIENCE)
  const { json } = await get(`${two().url}/api/tickets?limit=200`)
  const titles = json.tickets.map(({ title }: { title: string }) => title)
  expect(titles.filter((title: string) => title === 'meanwhile')).toHaveLength(1)
  expect(titles).toContain('before')
}, 180_000)

test('the commands work on the database, or say what to do instead', async () => {
  expect(await cli('audit', 'verify')).toMatchObject({ code: 0, stdout: expect.stringMatching(/Node one[^]*Node two/) })
  const { stdout } = await cli('audit', 'checkpoint')
  expect(stdout.trim().split('\n')).toHaveLength(2)
  const proven = await cli('audit', 'verify', '--checkpoint', stdout)
  expect(proven.stdout.match(/contains 1 checkpoint/g)).toHaveLength(2)
  expect(await cli('backup', '/tmp/never.db')).toMatchObject({ code: 1, stderr: expect.stringContaining('pg_dump') })
  expect((await cli('erase', '--email', 'a@b.example', '--dry-run')).stdout).toContain('Nothing would be erased')
  expect(await cli('doctor')).toMatchObject({ stdout: expect.stringMatching(/database +PostgreSQL \d+/) })
  expect(await cli('sources', 'list')).toMatchObject({ code: 0, stdout: expect.stringContaining('no source') })
}, 180_000)

// The last one: from here on every request needs a key.
test('a key made beside the nodes counts at each of them', async () => {
  const made = JSON.parse((await cli('keys', 'create', 'somebody', '--json')).stdout) as { secret: string }
  const send = (server: TestServer, headers = {}) => post(server.webhook, { title: 'a', description: 'b' }, headers)
  for (const server of [one(), two()]) {
    await vi.waitFor(async () => expect((await send(server)).status).toBe(401), PATIENCE)
    expect((await send(server, { authorization: `Bearer ${made.secret}` })).status).toBe(200)
  }
}, 180_000)
