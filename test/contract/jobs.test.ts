import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect } from 'vitest'

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

  jobsContract(async () => {
    const database = await server.database()
    // Short once there is somebody dead to wait for: two that live might else be late themselves on a slow machine.
    let leaseMs = 30_000
    return {
      open: (hooks) => openPostgresJobs({ database, leaseMs, pollMs: 250 }, hooks),
      killWhileRunning: async (kind) => {
        await killWhileRunning(database, kind)
        leaseMs = 2000
      },
      dispose: async () => {},
    }
  })
})
