// Begins a job and never ends it: `jobs.test.ts` kills the process meanwhile.
import { openPostgresJobs } from '../../src/store/postgres-jobs.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'

const [where = '', kind = ''] = process.argv.slice(2)
const hooks = { mayRun: () => true, onRun: () => {}, onFailure: () => {}, onFault: console.error }
const jobs = where.startsWith('postgres:')
  ? await openPostgresJobs({ database: where }, hooks)
  : (
      await openSqliteStore({ directory: where, maxQueued: 100, maxQueuedBytes: 1_000_000, onDeath: console.error })
    ).createJobs(hooks)
const run = () => {
  console.log('running')
  return new Promise<void>(() => {})
}
await jobs.start({ handlers: { [kind]: { run, concurrency: 1, timeLimitMs: 600_000 } } })
