import type { DatabaseSync } from 'node:sqlite'

import { DEFAULT_ATTEMPTS, type JobFigures, type JobPayload, type JobQuery, type StoredJob } from '../core/jobs.ts'
import { numberOrNull, textOrNull } from './rows.ts'

const NEWEST = Number.MAX_SAFE_INTEGER
const MOST_KINDS = 100

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
    pending: db.prepare(`
      select kind, count(*) filter (where attempts = 0) as waiting, count(*) filter (where attempts > 0) as failed,
        min(run_at) as oldest from jobs where state = 'waiting' group by kind`),
    others: db.prepare('select kind, count(*) as count from jobs where state = ? group by kind'),
    fresh: db.prepare(
      'select (select count(*) from jobs) - (select count(*) from jobs where state is not null) as count',
    ),
    oldest: db.prepare('select kind, run_at from jobs where state is null order by id limit 1'),
  }

  /** From indexes alone, but for new tickets' jobs, which are counted as what is left of all: they are of one kind. */
  function jobFigures(now: number): JobFigures[] {
    const byKind = new Map<string, JobFigures>()
    const of = (row: Row): JobFigures => {
      const kind = String(row['kind'])
      const known = byKind.get(kind) ?? { kind, waiting: 0, running: 0, failed: 0, dead: 0, oldestS: 0 }
      byKind.set(kind, known)
      return known
    }
    const age = (at: unknown) => Math.max(0, (now - Number(at)) / 1000)
    for (const row of sql.pending.all()) {
      const found = of(row)
      found.waiting = Number(row['waiting'])
      found.failed = Number(row['failed'])
      found.oldestS = age(row['oldest'])
    }
    for (const row of sql.others.all('running')) of(row).running = Number(row['count'])
    for (const row of sql.others.all('dead')) of(row).dead = Number(row['count'])
    const fresh = Number(sql.fresh.get()?.['count'])
    const oldest = fresh > 0 ? sql.oldest.get() : undefined
    if (oldest !== undefined) {
      const found = of(oldest)
      found.waiting += fresh
      found.oldestS = Math.max(found.oldestS, age(oldest['run_at']))
    }
    return [...byKind.values()].toSorted((a, b) => (a.kind < b.kind ? -1 : 1)).slice(0, MOST_KINDS)
  }

  return {
    jobs: ({ state, kind, before = NEWEST, limit }: JobQuery): StoredJob[] =>
      sql[state ?? 'any'].all(kind ?? null, before, limit).map(jobOf),
    jobFigures,
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
