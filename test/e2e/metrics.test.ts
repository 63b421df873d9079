import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'

import { freePort, ticketflow } from '../cli.ts'
import { rememberSource } from '../rhythm.ts'
import { discard, ROOT, startTestServer, temporaryDirectory, type TestServer } from '../server.ts'

const KEY = 'k'.repeat(40)

let server: TestServer
afterEach(() => discard(server))

const ask = (path: string, options: RequestInit = {}) =>
  fetch(server.url + path, { ...options, headers: { 'x-api-key': KEY, 'content-type': 'application/json' } })
const send = (path: string, body: unknown) => ask(path, { method: 'POST', body: JSON.stringify(body) })

/** Every sample of /metrics, by its name with its labels. */
async function samples(): Promise<Map<string, number>> {
  const text = await (await ask('/metrics')).text()
  return new Map(
    [...text.matchAll(/^(\w+(?:\{[^}]*\})?) (\S+)$/gm)].map(([, name = '', value]) => [name, Number(value)]),
  )
}

test('deliveries are counted by source and outcome, and what a stranger makes up is no source', async () => {
  server = await startTestServer({ TICKETFLOW_ADMIN_KEY: KEY })
  await send('/api/sources', { id: 'shop', auth: 'key' })
  const webhook = '/api/integrations/webhook'
  for (let id = 1; id <= 3; id += 1) await send(`${webhook}/shop`, { title: 'a', description: 'b', id })
  await send(webhook, { title: 'a', description: 'b' })
  await send(webhook, { title: 'a' })
  for (let made = 0; made < 5; made += 1) await send(`${webhook}/made-up-${made}`, { title: 'a', description: 'b' })
  const found = await samples()
  const count = (source: string, outcome: string) =>
    found.get(`ticketflow_deliveries_total{source="${source}",outcome="${outcome}"}`)
  expect([count('shop', 'created'), count('(none)', 'created'), count('(none)', 'rejected')]).toEqual([3, 1, 1])
  expect(count('(unknown)', 'rejected')).toBe(5)
  expect([...found.keys()].filter((name) => name.includes('made-up'))).toEqual([])
})

test('commits and the size of the store are measured', async () => {
  server = await startTestServer({ TICKETFLOW_ADMIN_KEY: KEY })
  const before = await samples()
  expect(before.get('ticketflow_tickets')).toBe(0)
  const one = () => send('/api/integrations/webhook', { title: 'a', description: 'x'.repeat(100_000) })
  await Promise.all(Array.from({ length: 40 }, one))
  const after = await samples()
  expect(after.get('ticketflow_tickets')).toBe(40)
  expect(after.get('ticketflow_commit_deliveries_sum')).toBe(40)
  const groups = after.get('ticketflow_commit_deliveries_count') ?? 0
  expect(groups).toBeGreaterThan(0)
  expect(after.get('ticketflow_commit_duration_seconds_count')).toBe(groups)
  expect(after.get('ticketflow_commit_duration_seconds_sum')).toBeGreaterThan(0)
  const size = (file: string, of: Map<string, number>) => of.get(`ticketflow_store_bytes{file="${file}"}`) ?? 0
  // Forty bodies of 100 KB, each kept as it came and as a ticket.
  expect(size('log', after) + size('tickets', after)).toBeGreaterThan(size('log', before) + 8_000_000)
  await server.stop()
  expect(size('tickets', after)).toBeLessThanOrEqual(statSync(join(server.dataDir, 'tickets.db')).size)
})

test.each(['grafana.json', 'prometheus-alerts.yaml'])(
  'what examples/%s asks for is measured',
  { timeout: 120_000 },
  async (name) => {
    server = await startTestServer({ TICKETFLOW_ADMIN_KEY: KEY })
    await send('/api/sources', { id: 'shop', auth: 'key' })
    await send('/api/integrations/webhook/shop', { title: 'a', description: 'b' })
    const asked = readFileSync(join(ROOT, 'examples', name), 'utf8').match(/\b(?:ticketflow|nodejs|process)_\w+/g) ?? []
    expect(asked.length).toBeGreaterThan(4)
    // What takes a look at the store is there a moment later.
    const missing = async () => {
      const measured = new Set([...(await samples()).keys()].map((sample) => sample.replace(/\{.*/, '')))
      return [...new Set(asked)].filter((metric) => !measured.has(metric))
    }
    await expect.poll(missing, { timeout: 90_000, interval: 500 }).toEqual([])
  },
)

test('a source that is quieter than it uses to be is told of, until it is heard', { timeout: 120_000 }, async () => {
  const dataDir = await temporaryDirectory()
  await rememberSource(dataDir, 'shop', 2 * 3_600_000)
  const env = { TICKETFLOW_ADMIN_KEY: KEY, TICKETFLOW_DATA_DIR: dataDir, TICKETFLOW_MAX_LOOP_DELAY_MS: '0' }
  server = await startTestServer(env)
  const shop = async () => (await (await ask('/api/sources/shop')).json()) as Record<string, unknown>
  const gauge = async () => (await samples()).get('ticketflow_source_silent{source="shop"}')
  const told = { last_seen: expect.any(String), usual_gap: 60, silent_since: expect.any(String) }
  await expect.poll(shop, { timeout: 30_000 }).toMatchObject(told)
  expect(await gauge()).toBe(1)
  const listed = await ticketflow(['sources', 'list'], { TICKETFLOW_DATA_DIR: dataDir })
  expect(listed.stdout).toMatch(/shop .* 2 hours ago +silent, noticed /)
  expect((await send('/api/integrations/webhook/shop', { title: 'a' })).status).toBe(400)
  expect((await send('/api/integrations/webhook/shop', { title: 'a', description: 'b' })).status).toBe(200)
  await expect.poll(gauge, { timeout: 30_000 }).toBe(0)
  expect(await shop()).toMatchObject({ silent_since: null, usual_gap: expect.any(Number) })
  const after = await ticketflow(['sources', 'list', '--json'], { TICKETFLOW_DATA_DIR: dataDir })
  expect(JSON.parse(after.stdout).sources[0]).toMatchObject({ id: 'shop', silent_since: null })
  await server.stop()
  const said = () => /"source":"shop","last_seen":[^]*a source is heard again/.test(server.output())
  await expect.poll(said, { timeout: 30_000 }).toBe(true)
})

describe('ticketflow top', () => {
  test('prints what happens, as text and as JSON', async () => {
    server = await startTestServer({ TICKETFLOW_ADMIN_KEY: KEY })
    await send('/api/sources', { id: 'shop', auth: 'key' })
    let id = 0
    const load = setInterval(() => {
      id += 1
      void send('/api/integrations/webhook/shop', { title: 'a', description: 'b', id }).catch(() => {})
    }, 20)
    const options = ['top', '--url', server.url, '--key', KEY]
    const json = await ticketflow([...options, '--json'])
    const text = await ticketflow([...options, '--once'])
    clearInterval(load)
    expect(json.code).toBe(0)
    const figures = JSON.parse(json.stdout)
    expect(figures.url).toBe(server.url)
    expect(figures.deliveries).toBeGreaterThan(0)
    expect(figures.sources.shop.created).toBe(figures.deliveries)
    expect(figures.answer.p99Ms).toBeGreaterThan(0)
    expect(figures.storeBytes.tickets).toBeGreaterThan(0)
    expect(text).toMatchObject({ code: 0, stderr: '' })
    expect(text.stdout).toMatch(/^deliveries +[\d.]+\/s +created [\d.]+$/m)
    expect(text.stdout).toMatch(/^shop +[\d.]+\/s/m)
    expect(text.stdout).toMatch(/^store +\d+ tickets +tickets /m)
  })

  test('on a terminal draws over itself until q, and gives the screen back', async () => {
    server = await startTestServer({ TICKETFLOW_ADMIN_KEY: KEY })
    const command = `${process.execPath} bin/ticketflow.js top --url ${server.url} --key ${KEY} --every 0.2`
    const terminal = spawn('script', ['-qec', command, '/dev/null'], { cwd: ROOT, stdio: ['pipe', 'pipe', 'inherit'] })
    let screen = ''
    terminal.stdout.on('data', (chunk: Buffer) => (screen += chunk.toString()))
    await expect.poll(() => screen.split('event loop').length, { timeout: 15_000 }).toBeGreaterThan(3)
    terminal.stdin.write('q')
    const [code] = await once(terminal, 'close')
    expect(code).toBe(0)
    expect(screen.startsWith('\u001B[?1049h')).toBe(true)
    expect(screen.trimEnd().endsWith('\u001B[?1049l')).toBe(true)
  })

  test('says what is wrong', async () => {
    server = await startTestServer({ TICKETFLOW_ADMIN_KEY: KEY })
    const closed = await ticketflow(['top', '--url', server.url, '--once'])
    expect(closed).toMatchObject({ code: 1, stderr: expect.stringContaining('give one with --key') })
    const nobody = await ticketflow(['top', '--url', `http://127.0.0.1:${await freePort()}`, '--once'])
    expect(nobody).toMatchObject({ code: 1, stderr: expect.stringContaining('Nothing listens at') })
  })
})
