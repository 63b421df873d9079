import type { DatabaseSync } from 'node:sqlite'

import { fail } from '../core/errors.ts'
import { type JobPayload, type Jobs, payloadJson, ticketIdOf } from '../core/jobs.ts'
import { payloadOf } from './sqlite-job-queries.ts'

export type ClaimedJob = { id: number; kind: string; payload: JobPayload; attempt: number; maxAttempts: number }

/** `maxAttempts` is for jobs that do not say themselves. */
export type Want = { kind: string; limit: number; maxAttempts: number }

export type SettledJob = { id: number } & (
  | { outcome: 'done' }
  | { outcome: 'released' }
  | { outcome: 'failed'; runAt: number; error: string }
)

/** How many rows are looked through for new jobs at a time, while those of a kind that nobody works lie between. */
const WINDOW = 20_000
const CHUNK = 500
/** A job that was running when its process died is tried at once; one that sees many die waits this much longer each time. */
const SUSPICION_MS = 30_000

export type JobRows = ReturnType<typeof createJobRows>

/**
 * What the runners of a store say to its database: one transaction each. A new ticket's job is in no index, because its
 * delivery would pay for it. It is found by its number: jobs are taken in their order, so that none before `cursor` is
 * new. Whoever deletes rows moves it back, for SQLite gives the highest number again once its row is gone.
 */
export function createJobRows(db: DatabaseSync) {
  const sql = {
    begin: db.prepare('begin immediate'),
    commit: db.prepare('commit'),
    rollback: db.prepare('rollback'),
    recover: db.prepare(`
      update jobs set state = case when attempts >= max_attempts then 'dead' else 'waiting' end, locked_by = null,
        run_at = ?1 + (attempts - 1) * ${SUSPICION_MS}, last_error = 'The process ended while it ran'
      where state = 'running'`),
    newest: db.prepare('select coalesce(max(id), 0) as id from jobs'),
    fresh: db.prepare(`
      select id, ticket_id, payload, attempts, max_attempts from jobs
      where id > ?1 and id <= ?2 and state is null and kind = ?3 order by id limit ?4`),
    due: db.prepare(`
      select id, ticket_id, payload, attempts, max_attempts from jobs
      where state = 'waiting' and kind = ? and run_at <= ? order by run_at limit ?`),
    claim: db.prepare(`
      update jobs set state = 'running', attempts = attempts + 1, max_attempts = coalesce(max_attempts, ?), locked_by = ?
      where id = ?`),
    done: db.prepare('delete from jobs where id = ? and locked_by = ?'),
    failed: db.prepare(`
      update jobs set state = case when attempts >= max_attempts then 'dead' else 'waiting' end, run_at = ?,
        last_error = ?, locked_by = null where id = ? and locked_by = ?`),
    released: db.prepare(`
      update jobs set state = 'waiting', attempts = attempts - 1, locked_by = null where id = ? and locked_by = ?`),
    forgetKey: db.prepare(`
      update jobs set key = null, max_attempts = attempts where key = ? and state in ('running', 'dead')`),
    add: db.prepare(`
      insert into jobs (kind, ticket_id, run_at, state, payload, key, max_attempts) values (?, ?, ?, 'waiting', ?, ?, ?)
      on conflict (key) where key is not null do update set kind = excluded.kind, ticket_id = excluded.ticket_id,
        run_at = excluded.run_at, payload = excluded.payload, max_attempts = excluded.max_attempts, attempts = 0,
        last_error = null
      returning id`),
    stateById: db.prepare('select state from jobs where id = ?'),
    retry: db.prepare(`update jobs set state = 'waiting', attempts = 0, run_at = ? where id = ?`),
    retryDead: db.prepare(`
      update jobs set state = 'waiting', attempts = 0, run_at = ?
      where id in (select id from jobs where state = 'dead' and kind = ? limit ?)`),
    discard: db.prepare('delete from jobs where id = ?'),
    nextDue: db.prepare(`select min(run_at) as at from jobs where state = 'waiting' and kind = ?`),
    cron: db.prepare(`
      insert into cron (name, next_at) values (?1, ?3)
      on conflict (name) do update set next_at = ?3 where next_at <= ?2 or next_at > ?3 + 3600000`),
  }
  let cursors: ReadonlyMap<string, number> = new Map()
  let isRecovered = false

  function transaction<T>(work: () => T): T {
    const before = cursors
    sql.begin.run()
    try {
      // The lock on the directory says that whoever was running one before is gone.
      if (!isRecovered) sql.recover.run(Date.now())
      const result = work()
      sql.commit.run()
      isRecovered = true
      return result
    } catch (error) {
      cursors = before
      if (db.isTransaction) sql.rollback.run()
      throw error
    }
  }

  const newestId = () => Number(sql.newest.get()?.['id'])

  const moveCursor = (kind: string, to: number) => (cursors = new Map(cursors).set(kind, to))

  function moveCursorsBack(): void {
    const newest = newestId()
    for (const [kind, cursor] of cursors) if (cursor > newest) moveCursor(kind, newest)
  }

  function settle(job: SettledJob, runner: string): void {
    if (job.outcome === 'done') sql.done.run(job.id, runner)
    else if (job.outcome === 'released') sql.released.run(job.id, runner)
    else sql.failed.run(job.runAt, job.error, job.id, runner)
  }

  /** New jobs of a kind; where there may be more, the cursor stands before them. */
  function freshOf(kind: string, limit: number): Row[] {
    const from = cursors.get(kind) ?? 0
    const newest = newestId()
    if (from >= newest || limit === 0) return []
    const to = Math.min(from + WINDOW, newest)
    const found = sql.fresh.all(from, to, kind, limit)
    moveCursor(kind, found.length < limit ? to : Number(found.at(-1)?.['id']))
    return found
  }

  function take({ kind, limit, maxAttempts }: Want, runner: string, now: number): ClaimedJob[] {
    // What failed before gets half at most, so that neither keeps the other waiting.
    const due = sql.due.all(kind, now, Math.ceil(limit / 2))
    return [...due, ...freshOf(kind, limit - due.length)].map((row) => {
      const id = Number(row['id'])
      sql.claim.run(maxAttempts, runner, id)
      return {
        id,
        kind,
        payload: payloadOf(row),
        attempt: Number(row['attempts']) + 1,
        maxAttempts: Number(row['max_attempts'] ?? maxAttempts),
      }
    })
  }

  /** Puts on record how jobs ended and takes others, in one commit. */
  function exchange(runner: string, settled: readonly SettledJob[], wants: readonly Want[], now: number): ClaimedJob[] {
    return transaction(() => {
      for (const job of settled) settle(job, runner)
      if (settled.length > 0) moveCursorsBack()
      return wants.flatMap((want) => take(want, runner, now))
    })
  }

  const add: (...args: Parameters<Jobs['add']>) => number = (kind, payload, options = {}) => {
    const { runAt = Date.now(), key = null, maxAttempts = null } = options
    const text = payloadJson(payload)
    const ticketId = ticketIdOf(payload)
    return transaction(() => {
      if (key !== null) sql.forgetKey.run(key)
      return Number(sql.add.get(kind, ticketId, runAt, text, key, maxAttempts)?.['id'])
    })
  }

  /** Whether it is untouched; throws when it is not there or runs. */
  function isFresh(id: number): boolean {
    const row = sql.stateById.get(id)
    if (row === undefined) fail('not_found', `No job ${id}`)
    if (row['state'] === 'running') fail('conflict', `Job ${id} is running`)
    return row['state'] === null
  }

  function retry(id: number): void {
    transaction(() => isFresh(id) || sql.retry.run(Date.now(), id))
  }

  /** Some of the dead of a kind, and whether these were the last. */
  function retrySome(kind: string): { count: number; isLast: boolean } {
    const count = transaction(() => Number(sql.retryDead.run(Date.now(), kind, CHUNK).changes))
    return { count, isLast: count < CHUNK }
  }

  function discard(id: number): void {
    transaction(() => {
      isFresh(id)
      sql.discard.run(id)
      moveCursorsBack()
    })
  }

  /** When the next job of one of these kinds is due, in ms; 0 where new ones are to be looked for, null when there is none. */
  function nextDue(kinds: readonly string[]): number | null {
    const newest = newestId()
    if (kinds.some((kind) => (cursors.get(kind) ?? 0) < newest)) return 0
    const times = kinds.flatMap((kind) => {
      const at = sql.nextDue.get(kind)?.['at'] ?? null
      return at === null ? [] : Number(at)
    })
    return times.length === 0 ? null : Math.min(...times)
  }

  /** Whether it is due, which is then noted to be done. A time that lies an hour too far ahead is a clock's that was wrong. */
  const claimCron = (name: string, everyMs: number, now: number): boolean =>
    transaction(() => Number(sql.cron.run(name, now, now + everyMs).changes) === 1)

  return { exchange, add, retry, retrySome, discard, nextDue, claimCron }
}

type Row = Record<string, unknown>
