import type { Pool } from 'pg'
import { z } from 'zod'

import { AppError, fail } from '../core/errors.ts'
import { isObject } from '../core/json.ts'
import {
  type CronEntry,
  DEFAULT_ATTEMPTS,
  type JobFigures,
  type JobPayload,
  type JobQuery,
  type Jobs,
  payloadJson,
  stateOf,
  type StoredJob,
  ticketIdOf,
} from '../core/jobs.ts'

/** Any number: who makes the tables at the same time as another node waits for it. */
const MAKING = 7_405_611

/** What graphile-worker does not know: which pools of workers are alive, and what is done again and again. */
const TABLES = `
  create schema if not exists ticketflow_jobs;
  create table if not exists ticketflow_jobs.pools (id text primary key, seen_at timestamptz not null);
  create table if not exists ticketflow_jobs.cron (name text primary key, next_at timestamptz not null)`

const STATES = {
  running: 'j.locked_at is not null',
  dead: 'j.locked_at is null and j.attempts >= j.max_attempts',
  failed: 'j.locked_at is null and j.attempts > 0 and j.attempts < j.max_attempts',
  waiting: 'j.locked_at is null and j.attempts = 0 and j.max_attempts > 0',
  any: 'true',
} as const

const CHUNK = 500

const JobRow = z.object({
  id: z.coerce.number(),
  kind: z.string(),
  payload: z.unknown(),
  attempts: z.number(),
  max_attempts: z.number(),
  run_at: z.date(),
  is_running: z.boolean(),
  last_error: z.string().nullable(),
})

const FiguresRow = z.object({
  kind: z.string(),
  waiting: z.coerce.number(),
  running: z.coerce.number(),
  failed: z.coerce.number(),
  dead: z.coerce.number(),
  oldest_s: z.coerce.number().nullable(),
})

/** Questions and orders about jobs to a PostgreSQL that graphile-worker has its tables in. */
export function createPostgresJobRows(pool: Pool) {
  async function query(text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
    try {
      return (await pool.query<Record<string, unknown>>(text, values)).rows
    } catch (error) {
      throw isOutage(error)
        ? new AppError('unavailable', `The database of the jobs cannot be asked: ${said(error)}`)
        : error
    }
  }

  /** Runs `make` and makes our own tables; one node after the other. */
  async function makeTables(make: () => Promise<void>): Promise<void> {
    const client = await pool.connect()
    try {
      await client.query('select pg_advisory_lock($1)', [MAKING])
      await make()
      await client.query(TABLES)
      await client.query('select pg_advisory_unlock($1)', [MAKING])
      client.release()
    } catch (error) {
      // Closed, so that the lock is gone with it.
      client.release(true)
      throw error
    }
  }

  const add: Jobs['add'] = async (kind, payload, options = {}) => {
    const { runAt, key = null, maxAttempts = DEFAULT_ATTEMPTS } = options
    const at = runAt === undefined ? null : new Date(runAt)
    const [row] = await query(
      `select id from graphile_worker.add_job($1, $2::json, run_at := $3, job_key := $4, max_attempts := $5)`,
      [kind, payloadJson(payload), at, key, maxAttempts],
    )
    return Number(row?.['id'])
  }

  // Only the table itself has the payload; all else is in the view that graphile-worker promises to keep.
  async function list({ state, kind, before, limit }: JobQuery): Promise<StoredJob[]> {
    const rows = await query(
      `select j.id, j.task_identifier as kind, p.payload, j.attempts, j.max_attempts, j.run_at, j.last_error,
         j.locked_at is not null as is_running
       from graphile_worker.jobs j join graphile_worker._private_jobs p on p.id = j.id
       where ${STATES[state ?? 'any']} and ($1::text is null or j.task_identifier = $1)
         and ($2::bigint is null or j.id < $2) order by j.id desc limit $3`,
      [kind ?? null, before ?? null, limit],
    )
    return rows.map(jobOf)
  }

  async function figures(): Promise<JobFigures[]> {
    const rows = await query(
      `select j.task_identifier as kind, count(*) filter (where ${STATES.waiting}) as waiting,
         count(*) filter (where ${STATES.running}) as running, count(*) filter (where ${STATES.failed}) as failed,
         count(*) filter (where ${STATES.dead}) as dead,
         extract(epoch from now() - min(j.run_at) filter (where j.locked_at is null and j.attempts < j.max_attempts))
           as oldest_s
       from graphile_worker.jobs j group by 1 order by 1 limit 100`,
    )
    return rows.map((row) => {
      const { kind, waiting, running, failed, dead, oldest_s: oldestS } = FiguresRow.parse(row)
      return { kind, waiting, running, failed, dead, oldestS: Math.max(0, oldestS ?? 0) }
    })
  }

  /** Why nothing came of an order about this job. */
  async function refuse(id: number): Promise<never> {
    const rows = await query('select 1 from graphile_worker.jobs where id = $1', [id])
    return rows.length === 0 ? fail('not_found', `No job ${id}`) : fail('conflict', `Job ${id} is running`)
  }

  async function retry(id: number): Promise<void> {
    const rows = await query(
      'select id from graphile_worker.reschedule_jobs(array[$1::bigint], run_at := now(), attempts := 0)',
      [id],
    )
    if (rows.length === 0) await refuse(id)
  }

  async function retryAll(kind: string): Promise<number> {
    let count = 0
    for (;;) {
      const rows = await query(
        `select id from graphile_worker.reschedule_jobs(
           array(select j.id from graphile_worker.jobs j where j.task_identifier = $1 and ${STATES.dead} limit ${CHUNK}),
           run_at := now(), attempts := 0)`,
        [kind],
      )
      count += rows.length
      if (rows.length < CHUNK) return count
    }
  }

  async function discard(id: number): Promise<void> {
    const rows = await query('select id from graphile_worker.complete_jobs(array[$1::bigint])', [id])
    if (rows.length === 0) await refuse(id)
  }

  /** See createJobRows of the embedded store. */
  async function claimCron({ name, everyMs }: CronEntry): Promise<boolean> {
    const rows = await query(
      `insert into ticketflow_jobs.cron as c (name, next_at) values ($1, now() + $2 * interval '1 millisecond')
       on conflict (name) do update set next_at = excluded.next_at
         where c.next_at <= now() or c.next_at > excluded.next_at + interval '1 hour'
       returning name`,
      [name, everyMs],
    )
    return rows.length === 1
  }

  /** Says that these pools are alive. */
  async function beat(pools: readonly string[]): Promise<void> {
    await query(
      `insert into ticketflow_jobs.pools (id, seen_at) select id, now() from unnest($1::text[]) id
       on conflict (id) do update set seen_at = excluded.seen_at`,
      [pools],
    )
  }

  /** Gives back what pools were running that have not been seen for so long; returns how many such pools there were. */
  async function unlockLost(leaseMs: number): Promise<number> {
    const rows = await query(
      `delete from ticketflow_jobs.pools where seen_at < now() - $1 * interval '1 millisecond' returning id`,
      [leaseMs],
    )
    if (rows.length > 0) await unlock(rows.map((row) => String(row['id'])))
    return rows.length
  }

  /** The same for pools that died before they were ever seen: this looks through all jobs, so it is done seldom. */
  async function unlockUnseen(leaseMs: number): Promise<void> {
    const rows = await query(
      `select distinct locked_by as id from graphile_worker.jobs
       where locked_at < now() - $1 * interval '1 millisecond'
         and locked_by not in (select id from ticketflow_jobs.pools)`,
      [leaseMs],
    )
    if (rows.length > 0) await unlock(rows.map((row) => String(row['id'])))
  }

  const unlock = (pools: readonly string[]) => query('select graphile_worker.force_unlock_workers($1)', [pools])

  /**
   * Gives back what these pools run, and the attempts with it: in one transaction, so that no other node takes a job
   * before its attempt is given back. `held` are the jobs that they are known to run.
   */
  async function release(pools: readonly string[], held: readonly { id: number; attempt: number }[]): Promise<void> {
    const client = await pool.connect()
    try {
      await client.query('begin')
      await client.query('select graphile_worker.force_unlock_workers($1)', [pools])
      for (const { id, attempt } of held) {
        const values = [id, attempt - 1]
        await client.query(
          'select graphile_worker.reschedule_jobs(array[$1::bigint], run_at := now(), attempts := $2)',
          values,
        )
      }
      await client.query('delete from ticketflow_jobs.pools where id = any($1)', [pools])
      await client.query('commit')
      client.release()
    } catch (error) {
      client.release(true)
      throw error
    }
  }

  /**
   * What graphile-worker does of itself once a job has failed, but for the time of its next try: that one's has no
   * jitter, so that all that failed together would return together. Of a job that is another's by now nothing is changed.
   */
  async function failJob(job: {
    id: number
    attempt: number
    pool: string | null
    error: string
    delayMs: number
  }): Promise<void> {
    await query(
      `update graphile_worker._private_jobs
       set last_error = $4, run_at = now() + $5 * interval '1 millisecond', locked_by = null, locked_at = null
       where id = $1 and attempts = $2 and locked_by = $3`,
      [job.id, job.attempt, job.pool, job.error, job.delayMs],
    )
  }

  /** Lets a job have no more attempts than these; false while it runs, or when it is gone. */
  async function limitAttempts(id: number, maxAttempts: number): Promise<boolean> {
    const text = 'select id from graphile_worker.reschedule_jobs(array[$1::bigint], max_attempts := $2)'
    return (await query(text, [id, maxAttempts])).length === 1
  }

  return {
    makeTables,
    add,
    list,
    figures,
    retry,
    retryAll,
    discard,
    claimCron,
    beat,
    unlockLost,
    unlockUnseen,
    release,
    fail: failJob,
    limitAttempts,
  }
}

function jobOf(row: unknown): StoredJob {
  const job = JobRow.parse(row)
  const { id, kind, attempts, max_attempts: maxAttempts } = job
  const payload = payloadIn(job.payload)
  return {
    id,
    kind,
    state: stateOf({ isRunning: job.is_running, attempts, maxAttempts }),
    ticketId: ticketIdOf(payload),
    payload,
    attempts,
    maxAttempts,
    runAt: job.run_at.getTime(),
    lastError: job.last_error,
  }
}

/** What others add may be no object. */
export const payloadIn = (value: unknown): JobPayload => (isObject(value) ? value : {})

const said = (error: unknown) => (error instanceof Error ? error.message : String(error))

/** Whether it is the connection or the server that is at fault, and not what it was told. SQLSTATE 08, 53, 57 and 58. */
function isOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? String(error.code) : ''
  return !/^[0-9A-Z]{5}$/.test(code) || /^(?:08|53|57|58)/.test(code)
}
