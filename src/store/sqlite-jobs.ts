import { randomUUID } from 'node:crypto'

import {
  backoffMs,
  DEFAULT_ATTEMPTS,
  errorText,
  type Handlers,
  type Jobs,
  type JobsHooks,
  ticketIdOf,
} from '../core/jobs.ts'
import { startCron } from './job-cron.ts'
import { type Attempt, type Run, startRun } from './job-run.ts'
import type { ClaimedJob, JobRows, SettledJob, Want } from './sqlite-job-rows.ts'

/** The least between two commits for jobs, so that the disk stays the senders'. */
const PAUSE_MS = 25
/** How soon jobs are looked for that nobody told of: those that come due. */
const POLL_MS = 500
/** How soon it is asked again whether jobs may run, and a disk that took no commit whether it does by now. */
const WAIT_MS = 100
const FAULT_PAUSE_MS = { least: 1000, most: 60_000 }
/** The most that is taken at a time of a kind, in one commit. */
const BATCH = 50

export type JobReader = Pick<Jobs, 'list' | 'figures'>

type Kind = {
  name: string
  spec: Handlers[string]
  maxAttempts: number
  running: number
  ready: ClaimedJob[]
  speed: number
}

/**
 * Jobs of the embedded store, run in the process that has it. `commit` runs what writes, and rejects when the disk does
 * not take it: how a job ended is then kept here until it does. `onWork` tells of new jobs.
 */
export function createSqliteJobs(
  deps: {
    rows: JobRows
    reader: JobReader
    commit: <T>(work: () => T) => Promise<T>
    onWork: (listener: () => void) => () => void
  },
  hooks: JobsHooks,
): Jobs {
  const { rows, reader, commit, onWork } = deps
  const runner = randomUUID()
  const kinds = new Map<string, Kind>()
  const running = new Map<Run, Promise<void>>()
  let settled: SettledJob[] = []
  let timer: NodeJS.Timeout | undefined
  let dueAt = Infinity
  let exchangedAt = 0
  let faultPauseMs = FAULT_PAUSE_MS.least
  let exchanging: Promise<void> | null = null
  /** Nothing is begun any more, and later nothing put on record either. */
  let closed = false
  let isOver = false
  let unsubscribe: (() => void) | null = null
  let cron: ReturnType<typeof startCron> | null = null

  /** Sees to it that jobs are looked after within so many ms. */
  function wake(withinMs: number): void {
    const at = Math.max(performance.now() + withinMs, exchangedAt + PAUSE_MS)
    if (isOver || at >= dueAt) return
    clearTimeout(timer)
    dueAt = at
    timer = setTimeout(() => void turn(), Math.max(0, at - performance.now()))
  }

  /** Begins what is ready, puts on record what has ended, and takes more. */
  async function turn(): Promise<void> {
    dueAt = Infinity
    if (exchanging !== null) return
    exchanging = exchange()
    await exchanging
    exchanging = null
  }

  async function exchange(): Promise<void> {
    const mayRun = !closed && hooks.mayRun()
    const wants = mayRun ? [...kinds.values()].flatMap(wantOf) : []
    let ended = settled
    settled = []
    try {
      if (ended.length > 0 || wants.length > 0) {
        const claimed = await commit(() => rows.exchange(runner, ended, wants, Date.now()))
        // On record: never twice, for its number may be another's by then.
        ended = []
        for (const job of claimed) kinds.get(job.kind)?.ready.push(job)
      }
      exchangedAt = performance.now()
      faultPauseMs = FAULT_PAUSE_MS.least
      beginAll()
      if (!closed || settled.length > 0) wake(mayRun ? nextLook() : WAIT_MS)
    } catch (error) {
      settled = [...ended, ...settled]
      hooks.onFault(error)
      // Nobody brings it forward: a damaged store is not asked again and again.
      exchangedAt = performance.now() + faultPauseMs - PAUSE_MS
      wake(0)
      faultPauseMs = Math.min(faultPauseMs * 2, FAULT_PAUSE_MS.most)
    }
  }

  /** Free places and, where jobs of the kind are quick, as many more as ended since the last time. */
  function wantOf(kind: Kind): Want[] {
    const { name, spec, maxAttempts, ready, speed } = kind
    const limit = Math.min(BATCH, spec.concurrency - kind.running + speed) - ready.length
    kind.speed = 0
    return limit <= 0 ? [] : [{ kind: name, limit, maxAttempts }]
  }

  function nextLook(): number {
    if (settled.length > 0) return 0
    const free = [...kinds.values()].filter((kind) => kind.running < kind.spec.concurrency).map(({ name }) => name)
    const at = free.length === 0 ? null : rows.nextDue(free)
    return at === null ? POLL_MS : Math.min(POLL_MS, Math.max(0, at - Date.now()))
  }

  function beginAll(): void {
    for (const kind of kinds.values()) begin(kind)
  }

  function begin(kind: Kind): void {
    if (closed) return
    while (kind.running < kind.spec.concurrency && hooks.mayRun()) {
      const job = kind.ready.shift()
      if (job === undefined) return
      kind.running += 1
      const { id, payload, attempt } = job
      const run = startRun(kind.spec.timeLimitMs, (signal) =>
        kind.spec.run({ id, kind: kind.name, ticketId: ticketIdOf(payload), payload, attempt, signal }),
      )
      running.set(run, finish(kind, job, run))
    }
  }

  async function finish(kind: Kind, job: ClaimedJob, run: Run): Promise<void> {
    const attempt = await run.ended
    running.delete(run)
    kind.running -= 1
    kind.speed += 1
    settled.push(settledOf(job, attempt))
    hooks.onRun(kind.name, attempt.outcome, attempt.seconds)
    // Quick jobs do not keep requests from their turn.
    setImmediate(() => begin(kind))
    wake(0)
  }

  function settledOf({ id, kind, attempt, maxAttempts }: ClaimedJob, { outcome, error }: Attempt): SettledJob {
    if (outcome === 'done' || outcome === 'released') return { id, outcome }
    const text = errorText(error)
    hooks.onFailure({ id, kind, attempt, error: text, isDead: attempt >= maxAttempts })
    return { id, outcome: 'failed', error: text, runAt: Date.now() + backoffMs(attempt, Math.random()) }
  }

  return {
    start: async ({ handlers, cron: entries = [] }) => {
      for (const [name, spec] of Object.entries(handlers)) {
        const maxAttempts = spec.maxAttempts ?? DEFAULT_ATTEMPTS
        kinds.set(name, { name, spec, maxAttempts, running: 0, ready: [], speed: 0 })
      }
      const claim = commitCron(rows, commit)
      cron = startCron(entries, claim, hooks)
      if (kinds.size === 0) return
      unsubscribe = onWork(() => wake(0))
      wake(0)
    },
    add: async (...job) => {
      const id = await commit(() => rows.add(...job))
      wake(0)
      return id
    },
    list: reader.list,
    figures: reader.figures,
    retry: async (id) => {
      await commit(() => rows.retry(id))
      wake(0)
    },
    retryAll: async (kind) => {
      let count = 0
      for (;;) {
        const some = await commit(() => rows.retrySome(kind))
        count += some.count
        wake(0)
        if (some.isLast) return count
        await new Promise((resolve) => setImmediate(resolve))
      }
    },
    discard: (id) => commit(() => rows.discard(id)),
    close: async ({ drainMs }) => {
      closed = true
      unsubscribe?.()
      await exchanging
      for (const { ready } of kinds.values()) {
        settled.push(...ready.splice(0).map(({ id }) => ({ id, outcome: 'released' as const })))
      }
      if (settled.length > 0) wake(0)
      const impatience = setTimeout(() => [...running.keys()].forEach((run) => run.release()), drainMs)
      await Promise.all([cron?.close(drainMs), ...running.values()])
      clearTimeout(impatience)
      isOver = true
      clearTimeout(timer)
      await exchanging
      // Where the disk takes nothing these are run again: as after a crash, which is no worse.
      if (settled.length > 0) await commit(() => rows.exchange(runner, settled, [], Date.now())).catch(hooks.onFault)
    },
  }
}

const commitCron =
  (rows: JobRows, commit: <T>(work: () => T) => Promise<T>) =>
  ({ name, everyMs }: { name: string; everyMs: number }, now: number) =>
    commit(() => rows.claimCron(name, everyMs, now))
