import { rm } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { startBalancer } from '../balancer.ts'
import { startPostgres, type TestPostgres } from '../postgres.ts'
import { startTestServer, temporaryDirectory, type TestServer } from '../server.ts'

const ROUNDS = 10
const SENDERS = 8

let postgres: TestPostgres
let database: string
let nodes: TestServer[] = []
let homes: string[] = []

beforeAll(async () => {
  // One that is the test's own: it is crashed, which nobody else's may be.
  postgres = await startPostgres({ own: true })
  database = await postgres.database()
  homes = await Promise.all([0, 1, 2].map(temporaryDirectory))
  nodes = await Promise.all(homes.map(startNode))
}, 120_000)

afterAll(async () => {
  for (const node of nodes) await node.stop('SIGKILL')
  for (const home of homes) await rm(home, { recursive: true, force: true })
  await postgres?.stop()
}, 60_000)

const startNode = (home: string) =>
  startTestServer({
    DATABASE_URL: database,
    TICKETFLOW_DATA_DIR: home,
    TICKETFLOW_TRIAGE: 'on',
    // Three nodes would each load the model here; what is judged is that each job is done, not what it says.
    TICKETFLOW_EMBEDDER: 'none',
  })

test(`loses and doubles nothing over ${ROUNDS} rounds of killed nodes and crashes of PostgreSQL`, async () => {
  const balancer = await startBalancer(() => nodes.map(({ url }) => url))
  const acknowledged = new Map<string, number>()
  const conflicts: string[] = []
  const over = new AbortController()
  let refused = 0

  /** Sends one ticket until it is acknowledged, as a sender does that keeps its key. */
  const deliver = async (id: string): Promise<void> => {
    while (!over.signal.aborted) {
      const answer = await fetch(`${balancer.url}/api/integrations/webhook`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': id },
        body: JSON.stringify({ platform: 'nodes', id, title: `Printer ${id} is on fire`, description: 'It smokes.' }),
        signal: AbortSignal.timeout(20_000),
      }).catch(() => null)
      const body = answer?.status === 200 ? ((await answer.json().catch(() => null)) as { id: number } | null) : null
      if (body !== null) return void acknowledged.set(id, body.id)
      if (answer !== null && ![200, 502, 503].includes(answer.status)) conflicts.push(`${id}: ${answer.status}`)
      refused += 1
      await delay(50 + Math.random() * 100)
    }
  }
  const sender = async (name: number) => {
    for (let number = 0; !over.signal.aborted; number += 1) await deliver(`${name}-${number}`)
  }
  const senders = Promise.all(Array.from({ length: SENDERS }, (_, name) => sender(name)))

  /** Waits until this many more were acknowledged: a round that nothing came through in would show nothing. */
  const come = async (more: number) => {
    const aim = acknowledged.size + more
    for (let tries = 0; acknowledged.size < aim; tries += 1) {
      expect(tries, `only ${acknowledged.size} of ${aim} acknowledged; ${refused} refused`).toBeLessThan(600)
      await delay(100)
    }
  }

  for (let round = 0; round < ROUNDS; round += 1) {
    const at = round % nodes.length
    await come(20)
    await nodes[at]?.stop('SIGKILL')
    await come(10)
    await postgres.crash({ downMs: 300 })
    nodes[at] = await startNode(homes[at] ?? '')
  }
  await come(20)
  over.abort()
  await senders
  await balancer.stop()

  const client = new pg.Client(database)
  await client.connect()
  const query = async (sql: string) => (await client.query(sql)).rows
  const tickets = await query(`select external_id, count(*)::int as count, min(id)::int as id from tickets group by 1`)
  const stored = new Map(tickets.map((row) => [row.external_id, row]))
  expect(conflicts).toEqual([])
  expect([...acknowledged].filter(([id, ticket]) => stored.get(id)?.id !== ticket)).toEqual([])
  expect(tickets.filter((row) => row.count !== 1)).toEqual([])
  expect(acknowledged.size).toBeGreaterThan(ROUNDS * 30)

  // Each ticket's job is done, once: a second run of it is on record as an attempt and has no second effect.
  const undecided = `select id from tickets t where not exists (select 1 from triage d where d.ticket_id = t.id) limit 5`
  for (let tries = 0; (await query(undecided)).length > 0; tries += 1) {
    expect(tries, `not triaged: ${JSON.stringify(await query(undecided))}`).toBeLessThan(1200)
    await delay(100)
  }
  expect(await query(`select ticket_id from triage group by ticket_id having count(*) > 1`)).toEqual([])
  for (let tries = 0; (await query('select 1 from graphile_worker.jobs limit 1')).length > 0; tries += 1) {
    expect(tries, 'jobs are left').toBeLessThan(600)
    await delay(100)
  }
  await client.end()
}, 600_000)
