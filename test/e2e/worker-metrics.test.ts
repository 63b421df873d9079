import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { bearer } from '../ask.ts'
import { ticketflow } from '../cli.ts'
import { startPostgres, type TestPostgres } from '../postgres.ts'
import { discard, startTestServer, type TestServer } from '../server.ts'

const KEY = 'k'.repeat(40)
const LONG = { timeout: 120_000 }
const WAIT = { timeout: 60_000, interval: 100 }

let postgres: TestPostgres
let database: string
let server: TestServer
let sent = 0
beforeAll(async () => {
  postgres = await startPostgres()
  database = await postgres.database()
  server = await startTestServer({ DATABASE_URL: database, TICKETFLOW_WORKERS: '2', TICKETFLOW_ADMIN_KEY: KEY })
}, 180_000)
afterAll(async () => {
  await discard(server)
  await postgres?.stop()
}, 60_000)

const starts = () => server.output().match(/"msg":"ready"/g)?.length ?? 0

/** The supervisor's children. */
const workers = () => {
  const { pid } = server.child
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)
}

/** A connection of its own each time, so that workers take turns. */
const headers = { ...bearer(KEY), connection: 'close', 'content-type': 'application/json' }

async function deliver(count: number): Promise<void> {
  for (let made = 0; made < count; made += 1) {
    const answer = await fetch(server.webhook, {
      method: 'POST',
      headers,
      body: JSON.stringify({ title: 'Printer on fire', description: 'It burns', id: (sent += 1) }),
    })
    expect(answer.status).toBe(200)
  }
}

async function samples(): Promise<Map<string, number>> {
  const answer = await fetch(`${server.url}/metrics`, { headers })
  expect(answer.status).toBe(200)
  const lines = (await answer.text()).matchAll(/^(\w+(?:\{[^}]*\})?) (\S+)$/gm)
  return new Map(Array.from(lines, ([, name = '', value]) => [name, Number(value)]))
}

async function deliveriesByNode(): Promise<number[]> {
  const client = new pg.Client(database)
  await client.connect()
  const { rows } = await client.query('select count(*)::int as count from deliveries group by node order by node')
  await client.end()
  return rows.map(({ count }) => count)
}

const CREATED = 'ticketflow_deliveries_total{source="(none)",outcome="created"}'

test('whichever worker is asked says what all have counted, and what the store has once', LONG, async () => {
  await expect.poll(starts, WAIT).toBe(2)
  await deliver(40)
  const byNode = await deliveriesByNode()
  expect(byNode).toHaveLength(2)
  expect(Math.min(...byNode)).toBeGreaterThan(0)
  const answers = await Promise.all(Array.from({ length: 8 }, samples))
  for (const found of answers) {
    expect(found.get(CREATED)).toBe(40)
    expect(found.get('ticketflow_delivery_duration_seconds_count')).toBe(40)
    expect(found.get('ticketflow_commit_deliveries_sum')).toBe(40)
    expect(found.get('ticketflow_queued_deliveries')).toBe(0)
    expect(found.get('ticketflow_tickets')).toBe(40)
    expect(found.get('ticketflow_jobs{kind="triage",state="waiting"}')).toBe(40)
    expect(found.get('process_start_time_seconds')).toBeLessThan(Date.now() / 1000)
    expect([...found.keys()].filter((name) => name.includes('worker='))).toEqual([])
  }
})

test('a worker that dies takes nothing of what was counted with it', LONG, async () => {
  await deliver(10)
  const before = (await samples()).get(CREATED) ?? 0
  expect(before).toBe(sent)
  const [victim = 0] = workers()
  process.kill(victim, 'SIGKILL')
  await expect.poll(() => workers().includes(victim), WAIT).toBe(false)
  expect((await samples()).get(CREATED)).toBe(before)
  await expect.poll(starts, WAIT).toBe(3)
  await deliver(20)
  for (const found of await Promise.all(Array.from({ length: 8 }, samples))) expect(found.get(CREATED)).toBe(sent)
})

test('`ticketflow top` shows what all of them do', LONG, async () => {
  const top = ticketflow(['top', '--url', server.url, '--key', KEY, '--json', '--every', '3'])
  await delay(1000)
  const before = sent
  await deliver(30)
  const { code, stdout } = await top
  expect(code).toBe(0)
  const figures = JSON.parse(stdout)
  expect(sent - before).toBe(30)
  expect(figures.deliveries * figures.seconds).toBeCloseTo(30, 5)
  expect(figures.commits.together).toBeGreaterThan(0)
  expect(figures.upSeconds).toBeGreaterThan(0)
  expect(figures.loopP99Ms).toBeGreaterThan(0)
})
