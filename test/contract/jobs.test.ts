import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { Handler, JobsHooks } from '../../src/core/jobs.ts'
import { openPostgresJobs } from '../../src/store/postgres-jobs.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { startPostgres, type TestPostgres } from '../postgres.ts'
import { temporaryDirectory } from '../server.ts'
import { jobsContract, type OpenJobs } from './jobs.ts'

/** A process of its own begins a job of this kind and is killed. */
async function killWhileRunning(where: string, kind: string): Promise<void> {
  const file = join(import.meta.dirname, 'jobs-victim.ts')
  const child = spawn(process.execPath, [file, where, kind], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
}

const sqlite: OpenJobs = async () => {
  console.log('engine: SQLite, embedded')
  const directory = await temporaryDirectory()
  let store: Awaited<ReturnType<typeof openSqliteStore>> | null = null
  const release = async () => {
    await store?.close()
    store = null
  }
  const bounds = { maxQueued: 100, maxQueuedBytes: 1_000_000 }
  const onDeath = (error: Error) => expect.unreachable(error.message)
  return {
    open: async (hooks) => {
      store ??= await openSqliteStore({ directory, ...bounds, onDeath })
      return store.createJobs(hooks)
    },
    killWhileRunning: async (kind) => {
      await release()
      await killWhileRunning(directory, kind)
    },
    dispose: async () => {
      await release()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

describe('jobs: sqlite', () => jobsContract(sqlite))

describe('jobs: postgres', () => {
  let server: TestPostgres
  beforeAll(async () => {
    server = await startPostgres()
  }, 120_000)
  afterAll(() => server.stop(), 60_000)

  const postgres: OpenJobs = async () => {
    const database = await server.database()
    // Short once there is somebody dead to wait for: whatever else is given back is given back without it, and two that
    // live might be late themselves on a slow machine.
    let leaseMs = 600_000
    return {
      open: (hooks) => openPostgresJobs({ database, leaseMs, pollMs: 250 }, hooks),
      killWhileRunning: async (kind) => {
        await killWhileRunning(database, kind)
        leaseMs = 2000
      },
      dispose: async () => {},
    }
  }
  describe('as every engine', () => jobsContract(postgres))

  const quiet: JobsHooks = { mayRun: () => true, onRun: () => {}, onFailure: () => {}, onFault: () => {} }

  test('a job of the ticket’s own transaction has no more attempts than its kind', { timeout: 240_000 }, async () => {
    const database = await server.database()
    const jobs = await openPostgresJobs({ database, pollMs: 250 }, quiet)
    const client = new Client(database)
    await client.connect()
    const spec = { run: () => Promise.reject(new Error('no')), concurrency: 1, timeLimitMs: 1000, maxAttempts: 1 }
    await jobs.start({ handlers: { triage: spec } })
    await client.query(`select graphile_worker.add_job('triage', '{"ticket_id": 7}')`)
    await expect
      .poll(() => jobs.list({ limit: 9 }), { timeout: 90_000 })
      .toMatchObject([{ kind: 'triage', ticketId: 7, state: 'dead', maxAttempts: 1, lastError: 'no' }])
    await client.end()
    await jobs.close({ drainMs: 0 })
  })

  test('jobs go on after the database crashed and was away', { timeout: 300_000 }, async () => {
    const own = await startPostgres({ own: true })
    const database = await own.database()
    const faults: unknown[] = []
    const seen: unknown[] = []
    const jobs = await openPostgresJobs({ database, pollMs: 250 }, { ...quiet, onFault: (fault) => faults.push(fault) })
    const run: Handler = async ({ payload }) => void seen.push(payload['n'])
    await jobs.start({ handlers: { work: { run, concurrency: 2, timeLimitMs: 60_000 } } })
    await jobs.add('work', { n: 1 })
    await expect.poll(() => seen, { timeout: 60_000 }).toEqual([1])
    await own.crash({ downMs: 1000 })
    const isAdded = () => jobs.add('work', { n: 2 }, { key: 'two' }).then(Boolean, () => false)
    await expect.poll(isAdded, { timeout: 90_000, interval: 200 }).toBe(true)
    await expect.poll(() => seen.at(-1), { timeout: 120_000 }).toBe(2)
    expect(faults.length).toBeGreaterThan(0)
    await jobs.close({ drainMs: 0 })
    await own.stop()
  })
})
