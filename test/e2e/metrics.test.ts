import { statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'

import { discard, startTestServer, type TestServer } from '../server.ts'

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
