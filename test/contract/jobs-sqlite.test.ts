import { readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'

import type { Handler, Jobs, JobsHooks } from '../../src/core/jobs.ts'
import { storePath } from '../../src/store/sqlite-files.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { temporaryDirectory } from '../server.ts'
import { ticketOf } from './store.ts'

const PATIENT = { timeout: 60_000, interval: 20 }
const LONG = { timeout: 240_000 }
const MIGRATIONS = new URL('../../src/store/migrations/', import.meta.url)

let directory: string
let store: Awaited<ReturnType<typeof openSqliteStore>>
let jobs: Jobs
const hooks: JobsHooks = {
  mayRun: () => true,
  onRun: () => {},
  onFailure: () => {},
  onFault: (error) => console.log('fault:', error),
}

const open = async () => {
  store = await openSqliteStore({
    directory,
    maxQueued: 10_000,
    maxQueuedBytes: 67_108_864,
    onDeath: (error) => expect.unreachable(error.message),
  })
  jobs = store.createJobs(hooks)
}
const work = (run: Handler) => jobs.start({ handlers: { triage: { run, concurrency: 4, timeLimitMs: 60_000 } } })
const deliver = (count: number) => Promise.all(Array.from({ length: count }, () => store.submit(ticketOf())))
const left = () => jobs.list({ limit: 1000 })

beforeEach(async () => {
  directory = await temporaryDirectory()
})
afterEach(async () => {
  await jobs.close({ drainMs: 0 })
  await store.close()
  await rm(directory, { recursive: true, force: true })
})

test('the job of each new ticket is run once, also under a number that another had before', LONG, async () => {
  await open()
  const seen: (number | null)[] = []
  await work(async ({ ticketId }) => void seen.push(ticketId))
  const tickets: (number | null)[] = []
  // SQLite gives a number again once the last row is gone: each round begins at 1.
  for (const count of [5, 1, 20, 3, 3]) {
    tickets.push(...(await deliver(count)).map(({ ticketId }) => ticketId))
    await expect.poll(left, PATIENT).toEqual([])
  }
  expect(seen.toSorted((a, b) => Number(a) - Number(b))).toEqual(tickets)
})

test('new tickets are not held up by those whose jobs are dead, nor by kinds that nobody works', LONG, async () => {
  await open()
  let isMended = false
  const seen: (number | null)[] = []
  await jobs.add('other', { a: 1 })
  await deliver(10)
  await jobs.start({
    handlers: {
      triage: {
        run: async ({ ticketId }) => {
          if (!isMended) throw new Error('no')
          seen.push(ticketId)
        },
        concurrency: 4,
        timeLimitMs: 60_000,
        maxAttempts: 1,
      },
    },
  })
  await expect.poll(async () => (await jobs.list({ state: 'dead', limit: 100 })).length, PATIENT).toBe(10)
  isMended = true
  await jobs.add('other', { a: 2 })
  const [receipt] = await deliver(1)
  await expect.poll(() => seen, PATIENT).toEqual([receipt?.ticketId])
  await expect
    .poll(async () => (await jobs.figures()).map(({ kind, waiting, dead }) => [kind, waiting, dead]), PATIENT)
    .toEqual([
      ['other', 2, 0],
      ['triage', 0, 10],
    ])
})

test('the jobs of a store from before are run, each once', LONG, async () => {
  const db = new DatabaseSync(storePath(directory))
  const old = readdirSync(MIGRATIONS)
    .filter((name) => name < '0006')
    .toSorted()
  expect(old.length).toBe(5)
  for (const name of old) db.exec(readFileSync(new URL(name, MIGRATIONS), 'utf8'))
  db.exec(`pragma application_id = ${0x54464c57}; pragma user_version = ${old.length}`)
  const insert = db.prepare('insert into jobs (kind, ticket_id, run_at) values (?, ?, ?)')
  db.exec('begin')
  for (let ticket = 1; ticket <= 300; ticket += 1) insert.run('triage', ticket, 1_700_000_000_000 + ticket)
  db.exec('commit')
  db.close()
  await open()
  expect((await jobs.figures()).map(({ kind, waiting }) => [kind, waiting])).toEqual([['triage', 300]])
  const seen: (number | null)[] = []
  await work(async ({ ticketId }) => void seen.push(ticketId))
  await expect.poll(left, PATIENT).toEqual([])
  expect(seen.toSorted((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 300 }, (_, n) => n + 1))
})

test('jobs of a kind that nobody works are left alone while others are taken', LONG, async () => {
  await open()
  await deliver(3)
  await jobs.start({ handlers: { other: { run: async () => {}, concurrency: 1, timeLimitMs: 1000 } } })
  await jobs.add('other', {})
  await expect
    .poll(async () => (await left()).map(({ kind, state, attempts }) => [kind, state, attempts]), PATIENT)
    .toEqual(Array.from({ length: 3 }, () => ['triage', 'waiting', 0]))
})
