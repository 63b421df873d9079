import { rm } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { Pool } from 'pg'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { openPostgresStore } from '../../src/store/postgres.ts'
import { storePath } from '../../src/store/sqlite-files.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { startPostgres, type TestPostgres } from '../postgres.ts'
import { temporaryDirectory } from '../server.ts'
import { articleContract } from './articles.ts'
import { mergeContract } from './merges.ts'
import { type OpenSubject, storeContract } from './store.ts'
import { triageContract } from './triage.ts'

const QUEUE = {
  maxQueuedBytes: 67_108_864,
  notary: (facts: readonly object[]) => facts.map((one) => JSON.stringify(one)),
}

const sqlite: OpenSubject = async ({ maxQueued = 10_000 } = {}) => {
  const directory = await temporaryDirectory()
  const open = () =>
    openSqliteStore({ directory, maxQueued, ...QUEUE, onDeath: (error) => expect.unreachable(error.message) })
  let store = await open()
  return {
    store,
    reopen: async () => {
      await store.close()
      store = await open()
      return store
    },
    audit: async () => {
      const db = new DatabaseSync(storePath(directory), { readOnly: true })
      const number = (sql: string) => Number(Object.values(db.prepare(sql).get() ?? {})[0])
      const orphans = ['deliveries', 'timeline', 'jobs'].map((table) =>
        number(
          `select count(*) from ${table} where ticket_id is not null and ticket_id not in (select id from tickets)`,
        ),
      )
      const sound = db.prepare('pragma integrity_check').get()?.['integrity_check'] === 'ok'
      const jobs = number('select count(*) from jobs')
      db.close()
      return { jobs, orphans: orphans.reduce((sum, one) => sum + one), sound }
    },
    dispose: async () => {
      await store.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

describe('store: sqlite', () => storeContract(sqlite))
describe('triage: sqlite', () => triageContract(sqlite))
describe('merges: sqlite', () => mergeContract(sqlite))
describe('articles: sqlite', () => articleContract(sqlite))

describe('postgres', () => {
  let postgres: TestPostgres
  let url: string
  let pool: Pool

  beforeAll(async () => {
    // What is on disk after a power cut is not the question here, and each test would wait for it.
    postgres = await startPostgres({ flags: ['-c', 'fsync=off'] })
    url = await postgres.database()
    pool = new Pool({ connectionString: url, max: 1 })
    pool.on('error', () => {})
  }, 120_000)
  afterAll(async () => {
    await pool?.end()
    await postgres?.stop()
  })

  const number = async (sql: string) => Number(Object.values((await pool.query(sql)).rows[0])[0])

  // One database for all tests, because to make one takes longer than a test; each begins with empty tables.
  const empty = `truncate tickets, deliveries, delivery_keys, timeline, nodes, api_keys, sources, triage, verdicts, vectors,
      settings, imports, sessions, receipt_keys, articles, chunks restart identity;
    alter sequence ticket_ids restart; alter sequence delivery_ids restart;
    truncate graphile_worker._private_jobs`

  const open: OpenSubject = async ({ maxQueued = 10_000 } = {}) => {
    const openStore = () => openPostgresStore({ url, node: 'one', readers: 4, maxQueued, ...QUEUE })
    if ((await number(`select count(*) from pg_class where relname = 'ticketflow_schema'`)) > 0) await pool.query(empty)
    let store = await openStore()
    return {
      store,
      reopen: async () => {
        await store.close()
        store = await openStore()
        return store
      },
      audit: async () => {
        const orphans = await Promise.all(
          [
            ...['deliveries', 'timeline', 'delivery_keys'].map(
              (table) =>
                `select count(*) from ${table} where ticket_id is not null and ticket_id not in (select id from tickets)`,
            ),
            `select count(*) from graphile_worker._private_jobs
             where (payload->>'ticket_id')::bigint not in (select id from tickets)`,
          ].map(number),
        )
        // One key a delivery that has one, each ticket found by its own identity, and the chain's end where it is said to be.
        const unsound = await number(`select
          (select count(*) from deliveries where idempotency_key is not null)
            - (select count(*) from delivery_keys)
          + (select count(*) from tickets where (identity is null) <> (external_id is null))
          + (select count(*) from nodes where newest_delivery not in (select id from deliveries) and newest_delivery > 0)`)
        const jobs = await number('select count(*) from graphile_worker.jobs')
        return { jobs, orphans: orphans.reduce((sum, one) => sum + one), sound: unsound === 0 }
      },
      dispose: () => store.close(),
    }
  }

  describe('store', () => storeContract(open))
  describe('triage', () => triageContract(open))
  describe('merges', () => mergeContract(open))
  describe('articles', () => articleContract(open))
})
