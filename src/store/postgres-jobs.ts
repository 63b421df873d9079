import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

import { Logger, run as startRunner, type Runner, runMigrations, type Task, type WorkerEvents } from 'graphile-worker'
import { Pool, type PoolClient } from 'pg'

import {
  backoffMs,
  DEFAULT_ATTEMPTS,
  errorText,
  type HandlerSpec,
  type Jobs,
  type JobsHooks,
  ticketIdOf,
} from '../core/jobs.ts'
import { startCron } from './job-cron.ts'
import { type Run, startRun } from './job-run.ts'
import { createPostgresJobRows, payloadIn } from './postgres-job-rows.ts'

/** How long a node may say nothing before its jobs are given to others. */
const LEASE_MS = 30_000
/** New jobs are told of at once; those that come due are looked for so often. */
const POLL_MS = 2000
const GATE_MS = 100
const CONNECT_MS = 10_000
const RESTART_MS = { least: 500, most: 30_000 }
/** How long what is not ours may take to stop once every job has ended. */
const STOP_MS = 5000
/** Every so many beats it is looked for jobs of nodes that died before their first. */
const BEATS_BETWEEN = 30
/** How often, and with what pause, a job that failed for the last time is tried to be told so. */
const BURIAL = { tries: 25, pauseMs: 200 }

type Options = {
  /** The pool must not be ended before `close`; one that is made here from an address is ended by it. */
  database: string | Pool
  leaseMs?: number
  pollMs?: number
}

/**
 * Jobs on PostgreSQL, worked by graphile-worker: one runner a kind, so that each has its own bound. What graphile-worker
 * leaves to a kind of its own: the time limit, when a job is tried again, locks of dead nodes within `leaseMs` instead of four hours, release
 * without a lost attempt, and a new runner when one gave up. Rejects when the database cannot be reached.
 */
export async function openPostgresJobs(options: Options, hooks: JobsHooks): Promise<Jobs> {
  const { database, leaseMs = LEASE_MS, pollMs = POLL_MS } = options
  const pool =
    typeof database === 'string'
      ? new Pool({ connectionString: database, max: 20, connectionTimeoutMillis: CONNECT_MS })
      : database
  // A connection that breaks while nobody uses it; the next query opens another.
  const onError = (error: Error) => hooks.onFault(error)
  const onConnect = (client: PoolClient) => void client.on('error', onError)
  pool.on('error', onError).on('connect', onConnect)
  const letGo = async () => {
    if (pool === database) return void pool.off('error', onError).off('connect', onConnect)
    // A connection that hangs would be waited for in vain.
    await Promise.race([pool.end(), sleep(STOP_MS, undefined, { ref: false })])
  }
  const rows = createPostgresJobRows(pool)
  const logger = loggerTo(hooks)
  try {
    await rows.makeTables(() => runMigrations({ pgPool: pool, logger }))
  } catch (error) {
    await letGo()
    throw error
  }

  const runners = new Map<string, Runner>()
  /** The pools of workers that are at work for us, and their jobs. */
  const pools = new Set<string>()
  const running = new Map<Run, { id: number; attempt: number; ended: Promise<unknown> }>()
  const supervised: Promise<void>[] = []
  const stopped = new AbortController()
  /** Nothing is taken any more, and later nothing is ours any more. */
  let closed = false
  let isOver = false
  let cron: ReturnType<typeof startCron> | null = null
  let beating: Promise<void> | null = null
  let beatTimer: NodeJS.Timeout | undefined
  let beats = 0
  let beatAt = 0

  /** Holds the workers back while jobs may not run. */
  async function gate(): Promise<null> {
    while (!stopped.signal.aborted && !hooks.mayRun()) await sleep(GATE_MS)
    return null
  }

  const taskOf =
    (kind: string, spec: HandlerSpec): Task =>
    async (given, { job }) => {
      const payload = payloadIn(given)
      const [id, attempt] = [Number(job.id), job.attempts]
      const run = startRun(spec.timeLimitMs, (signal) =>
        spec.run({ id, kind, ticketId: ticketIdOf(payload), payload, attempt, signal }),
      )
      running.set(run, { id, attempt, ended: run.ended })
      const { outcome, error, seconds } = await run.ended
      running.delete(run)
      hooks.onRun(kind, outcome, seconds)
      if (outcome === 'done') return
      // graphile-worker fails what its own pool has locked: neither what was released nor what we have failed ourselves.
      if (outcome === 'released') throw new Error('Released')
      const text = errorText(error)
      const delayMs = backoffMs(attempt, Math.random())
      // Where that does not come through graphile-worker fails it, after the same time without a fifth more or less.
      await rows.fail({ id, attempt, pool: job.locked_by, error: text, delayMs }).catch(hooks.onFault)
      noteFailure({ id, kind, attempt, error: text }, job.max_attempts, spec)
      throw new Error(text)
    }

  function noteFailure(
    job: { id: number; kind: string; attempt: number; error: string },
    given: number,
    spec: HandlerSpec,
  ) {
    const { maxAttempts = DEFAULT_ATTEMPTS } = spec
    const isDead = job.attempt >= Math.min(given, maxAttempts)
    hooks.onFailure({ ...job, isDead })
    if (isDead && job.attempt < given) bury(job.id, maxAttempts).catch(hooks.onFault)
  }

  /** Of a job that was added with more attempts than its kind has: it has no others, once its runner let go of it. */
  async function bury(id: number, maxAttempts: number): Promise<void> {
    for (let tries = 0; tries < BURIAL.tries && !stopped.signal.aborted; tries += 1) {
      await sleep(BURIAL.pauseMs)
      if (await rows.limitAttempts(id, maxAttempts)) return
    }
  }

  /** Keeps a runner for this kind until we close: it gives up when the database is away for long. */
  async function supervise(kind: string, spec: HandlerSpec): Promise<void> {
    let pause = RESTART_MS.least
    while (!stopped.signal.aborted) {
      const from = performance.now()
      await runOnce(kind, spec).catch(hooks.onFault)
      if (stopped.signal.aborted) return
      pause = performance.now() - from > RESTART_MS.most ? RESTART_MS.least : Math.min(pause * 2, RESTART_MS.most)
      hooks.onFault(new Error(`The runner of ${kind} jobs has stopped; another is started in ${pause / 1000} s`))
      await sleep(pause, undefined, { signal: stopped.signal }).catch(() => {})
    }
  }

  async function runOnce(kind: string, spec: HandlerSpec): Promise<void> {
    const events: WorkerEvents = new EventEmitter()
    events.on('pool:create', ({ workerPool }) => {
      pools.add(workerPool.id)
      void rows.beat([workerPool.id]).catch(hooks.onFault)
    })
    events.on('pool:release', ({ workerPool }) => pools.delete(workerPool.id))
    const runner = await startRunner({
      pgPool: pool,
      logger,
      taskList: { [kind]: taskOf(kind, spec) },
      // Else it would look for files of its own in the working directory.
      parsedCronItems: [],
      concurrency: spec.concurrency,
      pollInterval: pollMs,
      noHandleSignals: true,
      events,
      forbiddenFlags: gate,
      // Only what is batched is tried again, and for minutes, when the database does not take it.
      preset: { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
    })
    runners.set(kind, runner)
    if (closed) await runner.stop()
    await runner.promise
  }

  async function beat(): Promise<void> {
    const lateMs = performance.now() - beatAt
    try {
      await rows.beat([...pools])
      // After an outage the others have not been able to beat either, and get the time to.
      if (lateMs < leaseMs) await unlockDead()
      beatAt = performance.now()
    } catch (error) {
      hooks.onFault(error)
    }
  }

  async function unlockDead(): Promise<void> {
    await rows.unlockLost(leaseMs)
    beats += 1
    if (beats % BEATS_BETWEEN === 0) await rows.unlockUnseen(leaseMs)
  }

  async function beatOn(): Promise<void> {
    await beat()
    if (isOver) return
    beatTimer = setTimeout(() => (beating = beatOn()), leaseMs / 3)
  }

  async function close(drainMs: number): Promise<void> {
    closed = true
    stopped.abort()
    const stopping = [...runners.values()].map((runner) => runner.stop().catch(() => {}))
    const ours = [...pools]
    const drained = Promise.all([...running.values()].map(({ ended }) => ended))
    await Promise.all([cron?.close(drainMs), Promise.race([drained, sleep(drainMs, undefined, { ref: false })])])
    isOver = true
    clearTimeout(beatTimer)
    await beating
    const held = [...running.values()]
    // First given to others and then ended here, so that graphile-worker finds nothing that it could count as failed.
    if (held.length > 0) await rows.release(ours, held).catch(hooks.onFault)
    for (const run of running.keys()) run.release()
    await Promise.race([Promise.all([...stopping, ...supervised]), sleep(STOP_MS, undefined, { ref: false })])
    await rows.release(ours, []).catch(hooks.onFault)
    await letGo()
  }

  const { add, list, figures, retry, retryAll, discard } = rows
  return {
    add,
    list,
    figures,
    retry,
    retryAll,
    discard,
    start: async ({ handlers, cron: entries = [] }) => {
      cron = startCron(entries, rows.claimCron, hooks)
      for (const [kind, spec] of Object.entries(handlers)) supervised.push(supervise(kind, spec))
      beating = beatOn()
    },
    close: ({ drainMs }) => close(drainMs),
  }
}

/** Only what is wrong: it has a line for each job, and repeats what a handler threw. */
function loggerTo(hooks: JobsHooks): Logger {
  return new Logger(() => (level, message, meta) => {
    if (level === 'error' && meta?.['failure'] !== true) hooks.onFault(new Error(errorText(message)))
  })
}
