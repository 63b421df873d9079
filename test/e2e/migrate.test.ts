import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'

import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { createLibrary } from '../../src/work/library.ts'
import { storePath } from '../../src/store/sqlite-files.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { run, ticketflow } from '../cli.ts'
import { delivery, ticketOf } from '../contract/store.ts'
import { startPostgres, type TestPostgres } from '../postgres.ts'
import { discard, get, post, ROOT, startTestServer, temporaryDirectory, type TestServer } from '../server.ts'

/** As its sender would send it again. */
const bodyOf = (id: number) => JSON.stringify({ id, title: 't', description: 'd' })

const NO_TEXT = Uint8Array.of(0, 255, 1)
const TICKETS = 100_000
const MOVED = { heading: 'Über', text: 'It drops ☃' }
const GROUP = 1000

let postgres: TestPostgres
let database: string
let directory: string
let client: Client
let server: TestServer | undefined

beforeAll(async () => {
  postgres = await startPostgres()
  database = await postgres.database()
  client = new Client(database)
  client.on('error', () => {})
  await client.connect()
  directory = await temporaryDirectory()
  const store = await openSqliteStore({
    directory,
    maxQueued: GROUP * 2,
    maxQueuedBytes: 67_108_864,
    onDeath: (error) => expect.unreachable(error.message),
  })
  for (let start = 0; start < TICKETS; start += GROUP) {
    const group = Array.from({ length: GROUP }, (_, index) => {
      const number = start + index
      const draft = { externalId: String(number), title: `Ticket ${number} ☃`, userEmail: `who${number}@example.com` }
      return store.submit(ticketOf(draft, { idempotencyKey: `key ${number}`, body: bodyOf(number) }))
    })
    await Promise.all(group)
  }
  // What is not like all the rest: changes, comments, a refusal, a body that is no text, verdicts, settings.
  await store.changeTicket(1, { status: 'closed', category: 'billing' }, 'key:a')
  await store.submit(ticketOf({ externalId: '2', title: 'Changed\u0001 "quoted" \\' }, { body: 'two' }))
  await store.submit({
    kind: 'refusal',
    status: 400,
    reason: 'no title',
    delivery: delivery({ body: NO_TEXT }),
  })
  await store.submit({ kind: 'refusal', status: 401, reason: 'who?', delivery: delivery({ body: null }) })
  await store.mergeTicket(5, 6, 'key:a')
  await store.triage.judge(3, 'priority', 'high', 'key:a')
  await store.triage.saveVectors('m', new Map([[4, Int8Array.of(1, -128, 127)]]))
  await store.triage.saveSetting('triage', '{"category":"set"}')
  const library = createLibrary({ store: store.articleStore, chunker: { chunks: async () => [MOVED, MOVED] } })
  for (const source of ['a', null]) {
    await library.add({ source, title: 'Über \u0001 "VPN"', format: 'text', labels: ['é'], body: 'It drops ☃' }, 1)
  }
  await store.articleStore.removeArticle(2)
  await store.articleStore.saveChunkVectors('m', new Map([[1, Int8Array.of(1, -128, 127)]]))
  await store.close()
  // By hand: a source of its own would close the server that is to start on this.
  const db = new DatabaseSync(storePath(directory))
  db.exec(`insert into rhythms values ('shop', '{"gaps":[]}')`)
  db.exec(`insert into receipt_keys values ('kid', '', 'PEM', 1000)`)
  db.exec(`insert into sessions values ('hash', 'tf_1', 'bond', 1000, 1000, 9000)`)
  db.close()
}, 300_000)

afterAll(async () => {
  await discard(server)
  await client?.end()
  await postgres?.stop()
  await rm(directory, { recursive: true, force: true })
}, 60_000)

const env = () => ({ DATABASE_URL: database, TICKETFLOW_DATA_DIR: directory })

const theirs = async (sql: string) => (await client.query(sql)).rows
const movedSoFar = async () =>
  (await client.query<{ progress: string }>('select progress from imports').catch(() => null))?.rows[0]?.progress ?? ''

/** Of what a query answers with, row for row. */
function hashOf(rows: Iterable<Record<string, unknown>>): string {
  const hash = createHash('sha256')
  for (const row of rows) {
    const values = Object.values(row).map((value) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value === null ? null : String(value),
    )
    hash.update(`${JSON.stringify(values)}\n`)
  }
  return hash.digest('hex')
}

test('100,000 tickets with their deliveries move to the last byte, though the move is killed half-way', async () => {
  const first = spawn(process.execPath, ['bin/ticketflow.js', 'migrate', '--from', 'sqlite', '--to', 'postgres'], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], ...env() },
    stdio: 'ignore',
  })
  const ended = once(first, 'exit')
  // Killed while deliveries move: tickets are there, deliveries in part.
  for (let tries = 0; !/"deliveries":[1-9]\d{3,4}\b/.test(await movedSoFar()); tries += 1) {
    expect(first.exitCode, 'it was done before it could be killed').toBeNull()
    expect(tries).toBeLessThan(6000)
    await delay(20)
  }
  first.kill('SIGKILL')
  await ended
  expect(await movedSoFar()).not.toContain('"vectors"')

  const early = await ticketflow(['keys', 'list'], env())
  expect(`${early.stdout}${early.stderr}`).toContain('not all there')

  const second = await run(process.execPath, ['bin/ticketflow.js', 'migrate', '--json'], env(), 240_000)
  expect(second.stderr).toBe('')
  const moved = JSON.parse(second.stdout)
  expect(moved).toMatchObject({ ok: true, resumed: true })
  const rows = new Map(moved.tables.map(({ name, rows: count }: { name: string; rows: number }) => [name, count]))
  expect(rows.get('tickets')).toBe(TICKETS)
  expect(rows.get('deliveries')).toBe(TICKETS + 3)

  // Not by its own word alone: every row of the large tables, read here from both.
  const db = new DatabaseSync(storePath(directory), { readOnly: true })
  for (const sql of [
    `select id, title, description, category, priority, status, user_id, user_email, metadata, platform, account,
       external_id, sent_updated_at, sender_said, fingerprint, delivery_id, created_at, updated_at, resolved_at, unsaid,
       merged_into, merged_at, own_status
     from tickets order by id`,
    `select id, received_at, source, address, method, path, headers, body_size, body_sha256, request_id, platform,
       idempotency_key, outcome, status, reason, ticket_id, duration_us, answer, salt, link, seal, replay_of
     from deliveries order by id`,
    `select id, ticket_id, at, kind, actor, delivery_id, changes, fingerprint, comment, comment_key from timeline order by id`,
    `select ticket_id, field, value, at, actor from verdicts order by 1, 2`,
    `select ticket_id, model, vector from vectors order by 1`,
    `select source, rhythm from rhythms order by 1`,
    `select key_id, public_key, first_seen_at from receipt_keys order by 1`,
    `select id, source, title, format, labels, sha256, size, created_at, updated_at, body from articles order by id`,
    `select id, article_id, heading, text, model, vector from chunks order by id`,
  ]) {
    expect(hashOf(await theirs(sql)), sql).toBe(hashOf(db.prepare(sql).iterate()))
  }
  // Who is signed in here is not there.
  expect(await theirs('select count(*)::int as sessions from sessions')).toEqual([{ sessions: 0 }])
  const bodies = `select id, body from deliveries where body is not null order by id`
  const theirBodies = await theirs(
    `select id, coalesce(convert_to(body, 'UTF8'), body_bytes) as body from deliveries
     where body is not null or body_bytes is not null order by id`,
  )
  const ourBodies = db.prepare(bodies.replace('body from', 'cast(body as blob) as body from')).iterate()
  expect(hashOf(theirBodies)).toBe(hashOf(ourBodies))
  db.close()
  expect(await theirs('select count(*)::int as jobs from graphile_worker.jobs')).toEqual([{ jobs: TICKETS }])
}, 600_000)

test('the server goes on there where it was: numbers, keys, chain, search', async () => {
  server = await startTestServer({ ...env(), TICKETFLOW_TRIAGE: 'off' })
  const answer = await get(`${server.url}/api/tickets/3`)
  expect(answer.json).toMatchObject({ title: 'Changed\u0001 "quoted" \\' })
  expect((await get(`${server.url}/api/tickets/6`)).json).toMatchObject({ merged: [5] })
  expect((await post(`${server.url}/api/tickets/5/unmerge`, {})).json).toMatchObject({ status: 'new' })
  const again = await post(server.webhook, bodyOf(77), { 'idempotency-key': 'key 77' })
  expect(again.headers.get('idempotency-replayed')).toBe('true')
  const made = await post(server.webhook, { title: 'New', description: 'after the move' })
  expect(made.json.id).toBe(TICKETS + 1)
  expect((await get(`${server.url}/api/tickets?q=99999`)).json.tickets).toMatchObject([{ id: 100_000 }])
  expect((await get(`${server.url}/api/articles?q=uber+drops`)).json.articles).toMatchObject([{ id: 1, source: 'a' }])
  expect((await post(`${server.url}/api/articles`, { body: 'New' })).json.id).toBeGreaterThan(1)
  const verified = await run(process.execPath, ['bin/ticketflow.js', 'audit', 'verify', '--json'], env(), 120_000)
  expect(JSON.parse(verified.stdout)).toMatchObject({ ok: true })
}, 240_000)

test('a database with tickets in it is left as it is', async () => {
  const refused = await ticketflow(['migrate'], env())
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain('has tickets, deliveries or articles already')
})
