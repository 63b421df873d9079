import type { DatabaseSync } from 'node:sqlite'

import { DEFAULT_ATTEMPTS, type JobFigures, type JobPayload, type JobQuery, type StoredJob } from '../core/jobs.ts'
import { numberOrNull, textOrNull } from './rows.ts'

const NEWEST = Number.MAX_SAFE_INTEGER

/** In SQL what each state is; null is a new ticket's job. */
const STATES = {
  waiting: `(state is null or (state = 'waiting' and attempts = 0))`,
  failed: `state = 'waiting' and attempts > 0`,
  running: `state = 'running'`,
  dead: `state = 'dead'`,
  any: 'true',
} as const

/** Questions about jobs, for the thread that reads. */
export function jobQueries(db: DatabaseSync) {
  const select = (where: string) =>
    db.prepare(`
      select id, kind, ticket_id, run_at, attempts, max_attempts, state, payload, last_error from jobs
      where ${where} and (?1 is null or kind = ?1) and id < ?2 order by id desc limit ?3`)
  const sql = {
    waiting: select(STATES.waiting),
    failed: select(STATES.failed),
    running: select(STATES.running),
    dead: select(STATES.dead),
    any: select(STATES.any),
    figures: db.prepare(`
      select kind, count(*) filter (where ${STATES.waiting}) as waiting, count(*) filter (where ${STATES.failed}) as failed,
        count(*) filter (where ${STATES.running}) as running, count(*) filter (where ${STATES.dead}) as dead,
        min(run_at) filter (where state is null or state = 'waiting') as oldest
      from jobs group by kind order by kind limit 100`),
  }

  return {
    jobs: ({ state, kind, before = NEWEST, limit }: JobQuery): StoredJob[] =>
      sql[state ?? 'any'].all(kind ?? null, before, limit).map(jobOf),
    jobFigures: (now: number): JobFigures[] =>
      sql.figures.all().map((row) => ({
        kind: String(row['kind']),
        waiting: Number(row['waiting']),
        running: Number(row['running']),
        failed: Number(row['failed']),
        dead: Number(row['dead']),
        oldestS: row['oldest'] === null ? 0 : Math.max(0, (now - Number(row['oldest'])) / 1000),
      })),
  }
}

type Row = Record<string, unknown>

function jobOf(row: Row): StoredJob {
  const attempts = Number(row['attempts'])
  return {
    id: Number(row['id']),
    kind: String(row['kind']),
    state: stateIn(row['state'], attempts),
    ticketId: numberOrNull(row['ticket_id']),
    payload: payloadOf(row),
    attempts,
    maxAttempts: Number(row['max_attempts'] ?? DEFAULT_ATTEMPTS),
    runAt: Number(row['run_at']),
    lastError: textOrNull(row['last_error']),
  }
}

function stateIn(state: unknown, attempts: number): StoredJob['state'] {
  if (state === 'running' || state === 'dead') return state
  return attempts > 0 ? 'failed' : 'waiting'
}

/** A ticket's own job says no more than which ticket. */
export function payloadOf(row: Row): JobPayload {
  const text = textOrNull(row['payload'])
  return text === null ? { ticket_id: Number(row['ticket_id']) } : JSON.parse(text)
}
