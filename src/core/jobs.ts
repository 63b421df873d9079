import { fail } from './errors.ts'

/** What a job is to be told by who looks at it. `failed` is one that waits for another try. */
export const JOB_STATES = ['waiting', 'running', 'failed', 'dead'] as const
export type JobState = (typeof JOB_STATES)[number]

/** How one run of a job ended. A released one was given back while it ran, because its process stops. */
export const RUN_OUTCOMES = ['done', 'failed', 'timed_out', 'released'] as const
export type RunOutcome = (typeof RUN_OUTCOMES)[number]

export type JobPayload = Readonly<Record<string, unknown>>

/** A job as its handler gets it. `attempt` counts from 1; `signal` aborts at the time limit and when the process stops. */
export type RunningJob = {
  id: number
  kind: string
  /** The payload's `ticket_id`; null for a job that is about none. */
  ticketId: number | null
  payload: JobPayload
  attempt: number
  signal: AbortSignal
}

/** Resolves when the job is done for good; whatever it throws is a failure, and the job is tried again. */
export type Handler = (job: RunningJob) => Promise<void>

export type HandlerSpec = {
  run: Handler
  /** How many of the kind run at a time on this node. */
  concurrency: number
  timeLimitMs: number
  /** DEFAULT_ATTEMPTS when left out. */
  maxAttempts?: number
}

/** By kind. A kind without one waits. */
export type Handlers = Readonly<Record<string, HandlerSpec>>

/** Something to be done again and again, each time by one node: at the first start at once, and then so long after. */
export type CronEntry = {
  name: string
  everyMs: number
  timeLimitMs: number
  /** It goes on next time wherever it is ended: who stops does not wait for it. */
  isInterruptible?: boolean
  run: (signal: AbortSignal) => Promise<void>
}

/** A job as it is on record; what is done is not. Times are ms. */
export type StoredJob = {
  id: number
  kind: string
  state: JobState
  ticketId: number | null
  payload: JobPayload
  attempts: number
  maxAttempts: number
  runAt: number
  lastError: string | null
}

/** Newest first. */
export type JobQuery = {
  state?: JobState | undefined
  kind?: string | undefined
  before?: number | undefined
  limit: number
}

/** Of one kind: how many there are in each state, and for how many seconds the oldest that could run has waited. */
export type JobFigures = { kind: string; oldestS: number } & Record<JobState, number>

/**
 * Work that is done after the answer. What every engine owes, and `test/contract/jobs.ts` holds it to: a job whose
 * handler resolved is never run again; one whose process died is; one that failed is tried again later and later, up
 * to its attempts, and is then dead: kept until somebody retries or discards it.
 */
export type Jobs = {
  /** Begins to take jobs. Once. */
  start: (work: { handlers: Handlers; cron?: readonly CronEntry[] }) => Promise<void>
  /** `key`: a waiting job of the same key is replaced. */
  add: (
    kind: string,
    payload: JobPayload,
    options?: { runAt?: number; key?: string; maxAttempts?: number },
  ) => Promise<number>
  list: (query: JobQuery) => Promise<StoredJob[]>
  /** Lets a job run now, with all its attempts before it. Throws AppError `not_found`, or `conflict` while it runs. */
  retry: (id: number) => Promise<void>
  /** The same for all that are dead of a kind; returns how many these were. */
  retryAll: (kind: string) => Promise<number>
  /** Throws as `retry`. */
  discard: (id: number) => Promise<void>
  figures: () => Promise<JobFigures[]>
  /** Takes no more, waits so long for those that run, and gives the rest back for another node to take at once. */
  close: (options: { drainMs: number }) => Promise<void>
}

/** What an engine tells and asks while it works. */
export type JobsHooks = {
  /** False while requests need the machine more: nothing new is begun then. */
  mayRun: () => boolean
  onRun: (kind: string, outcome: RunOutcome, seconds: number) => void
  /** A run that failed, in words without secrets; `isDead` when it was the last. */
  onFailure: (job: { id: number; kind: string; attempt: number; error: string; isDead: boolean }) => void
  /** A fault of the engine itself, which goes on by itself. */
  onFault: (error: unknown) => void
}

export const DEFAULT_ATTEMPTS = 10
/** e to the power of this is about six hours. */
const LONGEST_BACKOFF = 10
const ERROR_LIMIT = 500

/** How long a job waits after so many attempts, a fifth more or less, so that what failed together does not return together. */
export const backoffMs = (attempts: number, random: number): number =>
  Math.round(Math.exp(Math.min(attempts, LONGEST_BACKOFF)) * 1000 * (0.8 + 0.4 * random))

export const stateOf = (job: { isRunning: boolean; attempts: number; maxAttempts: number }): JobState => {
  if (job.isRunning) return 'running'
  if (job.attempts >= job.maxAttempts) return 'dead'
  return job.attempts > 0 ? 'failed' : 'waiting'
}

/** The ticket that a payload is about. */
export function ticketIdOf(payload: JobPayload): number | null {
  const id = payload['ticket_id']
  return typeof id === 'number' && Number.isSafeInteger(id) ? id : null
}

// Libraries put the request that failed into their messages, and with it what it was allowed by and whom it was about;
// an erasure does not look here.
const SECRETS: [pattern: RegExp, mask: string][] = [
  [/:\/\/[^\s/@]{1,200}@/g, '://…@'],
  [/[\w.+%-]{1,64}@[\w.-]{1,255}/g, '…@…'],
  [/\b(bearer|basic)\s+[\w.~+/=-]{6,}/gi, '$1 …'],
  [/\b(sk|pk|rk|tf|ghp|gho|xox[a-z]|whsec)[-_][\w-]{8,}/g, '$1_…'],
  [/((?:api[-_ ]?key|token|secret|passw(?:or)?d|authorization)["']?\s{0,3}[:=]\s{0,3}["']?)[^\s"',;&]{3,}/gi, '$1…'],
]
const NOT_TEXT = /[\p{Cc}\u2028\u2029]+/gu

/**
 * What went wrong in one bounded line, fit for a log, a list and a database: no secrets, no addresses of people, no
 * control characters.
 */
export function errorText(error: unknown): string {
  const said = error instanceof Error ? error.message || error.name : String(error)
  const line = said
    .slice(0, 4 * ERROR_LIMIT)
    .toWellFormed()
    .replaceAll(NOT_TEXT, ' ')
    .trim()
  const masked = SECRETS.reduce((text, [pattern, mask]) => text.replaceAll(pattern, mask), line)
  if (masked.length <= ERROR_LIMIT) return masked || 'Unknown error'
  return `${masked.slice(0, ERROR_LIMIT - 1).toWellFormed()}…`
}

/** The most that a payload may be: what is large belongs into the store, and the job names it. */
const PAYLOAD_LIMIT = 65_536

/** A payload as it is kept. Throws AppError `too_large`. */
export function payloadJson(payload: JobPayload): string {
  const text = JSON.stringify(payload)
  return text.length <= PAYLOAD_LIMIT ? text : fail('too_large', `A job's payload may have ${PAYLOAD_LIMIT} characters`)
}
