import { extname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'

import { AppError } from '../core/errors.ts'
import type { Category } from './descriptions.ts'
import type { DeskState, Embedded, LabelledTicket, Learned, Opinion } from './desk.ts'
import type { EmbedderConfig } from './embedder.ts'
import type { ThreadCall, ThreadData, ThreadReply } from './engine-thread.ts'
import { TEXT_LIMIT } from './features.ts'
import type { Document, Found, FoundKind, Question as Search } from './finder.ts'

export type EngineConfig = {
  embedder: EmbedderConfig
  categories: readonly Category[]
  /** Of what it is sure of, so many are to be right; 0.95 unless given. */
  precision?: number
  /** What `save` gave last; asked for at each start of the thread. Null when there is nothing. */
  load?: () => Promise<Uint8Array | null>
  /** Told in a sentence when the thread died and is started again. */
  onNotice?: (text: string) => void
}

/** The triage engine, in a thread of its own behind everything else. */
export type Engine = {
  /** Category, priority and language of a text, with its vector. About 15 ms with the bundled embedder. */
  classify: (text: string, signal?: AbortSignal) => Promise<Opinion>
  /** A vector a text; null where the embedder does not know its language, fails, or there is none. */
  embed: (texts: readonly string[], signal?: AbortSignal) => Promise<(Float32Array | null)[]>
  /** The same, with whose they are and whether the embedder failed. */
  embedded: (texts: readonly string[], signal?: AbortSignal) => Promise<Embedded>
  /** What `find` is to find: in memory, anew after each start of the thread (`onNotice` tells of one). */
  index: (documents: readonly Document[]) => Promise<void>
  forget: (kind: FoundKind, ids: readonly number[]) => Promise<void>
  /** What is like a text, the most alike first; see finder.ts. */
  find: (question: Search) => Promise<Found[]>
  /** Learns anew from these tickets, the newest first; at most 20,000 are read. One call at a time, others wait. */
  learn: (tickets: Iterable<LabelledTicket> | AsyncIterable<LabelledTicket>, signal?: AbortSignal) => Promise<Learned>
  /** Other categories, and how many of what is sure are to be right. */
  configure: (settings: { categories: readonly Category[]; precision: number }) => Promise<void>
  /** What was learned, as bytes; null before that. */
  save: () => Promise<Uint8Array | null>
  state: () => Promise<DeskState & { restarts: number }>
  /** Ends the thread; whatever still waits is rejected. */
  close: () => Promise<void>
}

const LEARN_LIMIT = 20_000
/** Tickets that are handed over at once: a message of some hundred kilobytes. */
const PIECE = 200
/** Who asks beyond these is told to come again, before memory is all questions. */
const WAITING_LIMIT = 2000
const HEAP_MB = 768
const LONGEST_PAUSE_MS = 30_000

type Question = ThreadCall extends infer Call ? (Call extends { id: number } ? Omit<Call, 'id'> : never) : never
type Waiting = { resolve: (value: unknown) => void; reject: (error: unknown) => void }

const unavailable = (text: string) => new AppError('unavailable', text)
const NEVER = new AbortController().signal

export function createEngine(config: EngineConfig): Engine {
  const { embedder, load = async () => null, onNotice = () => undefined } = config
  let { categories, precision = 0.95 } = config
  const closing = new AbortController()
  const waiting = new Map<number, Waiting>()
  const gone = new WeakSet<Worker>()
  let calls = 0
  let restarts = 0
  let lesson: Promise<unknown> = Promise.resolve()
  let started = start(0)

  /** A thread that has loaded what was learned before. Never rejects before it is closed. */
  async function start(pauseMs: number): Promise<Worker> {
    await sleep(pauseMs, undefined, { signal: closing.signal })
    const file = new URL(`./engine-thread${extname(import.meta.url)}`, import.meta.url)
    const data: ThreadData = { embedder, categories, precision }
    const worker = new Worker(file, {
      workerData: data,
      name: 'triage',
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB, maxYoungGenerationSizeMb: 16 },
    })
    const since = performance.now()
    // What it died of comes before its exit.
    let cause = 'it ended by itself'
    worker.on('error', (error) => (cause = error instanceof Error ? error.message : String(error)))
    worker.on('message', (reply: ThreadReply) => {
      const call = waiting.get(reply.id)
      waiting.delete(reply.id)
      if ('error' in reply) call?.reject(unavailable(`The triage engine failed: ${reply.error}`))
      else call?.resolve(reply.value)
    })
    worker.on('exit', () => {
      gone.add(worker)
      rejectAll(unavailable('The triage engine stopped while it worked; ask again'))
      if (closing.signal.aborted) return
      restarts += 1
      onNotice(`The triage engine stopped (${cause}) and is started again`)
      const lived = performance.now() - since
      started = start(lived > LONGEST_PAUSE_MS ? 0 : Math.min(LONGEST_PAUSE_MS, 100 * 2 ** Math.min(9, restarts)))
      started.catch(() => undefined)
    })
    try {
      const bytes = await load()
      if (bytes !== null) await post(worker, { method: 'load', bytes })
    } catch (error) {
      onNotice(`What the triage engine had learned cannot be read: ${error instanceof Error ? error.message : error}`)
    }
    return worker
  }
  started.catch(() => undefined)

  function rejectAll(error: Error): void {
    for (const { reject } of waiting.values()) reject(error)
    waiting.clear()
  }

  function post(worker: Worker, question: Question, signal: AbortSignal = NEVER): Promise<unknown> {
    if (signal.aborted) return Promise.reject(signal.reason)
    // What is posted to a thread that is gone is never answered.
    if (gone.has(worker)) return Promise.reject(unavailable('The triage engine stopped; ask again'))
    calls += 1
    const id = calls
    return new Promise((resolve, reject) => {
      const abort = () => {
        waiting.delete(id)
        worker.postMessage({ id, method: 'abort' } satisfies ThreadCall)
        reject(signal.reason)
      }
      const done = () => signal.removeEventListener('abort', abort)
      waiting.set(id, {
        resolve: (value) => (done(), resolve(value)),
        reject: (error) => (done(), reject(error)),
      })
      signal.addEventListener('abort', abort, { once: true })
      worker.postMessage({ id, ...question } as ThreadCall) // a question with an id is a call
    })
  }

  async function ask(question: Question, signal: AbortSignal = NEVER): Promise<unknown> {
    signal.throwIfAborted()
    if (closing.signal.aborted) throw unavailable('The triage engine is closed')
    if (waiting.size >= WAITING_LIMIT) throw unavailable('The triage engine has too much to do; ask again later')
    let worker: Worker
    try {
      worker = await started
    } catch {
      throw unavailable('The triage engine is closed')
    }
    signal.throwIfAborted()
    return post(worker, question, signal)
  }

  async function learn(
    tickets: Iterable<LabelledTicket> | AsyncIterable<LabelledTicket>,
    signal: AbortSignal,
  ): Promise<Learned> {
    // One thread from beginning to end: another would have only what came after its start.
    const worker = await started
    await post(worker, { method: 'learnBegin' }, signal)
    let piece: LabelledTicket[] = []
    let count = 0
    for await (const ticket of tickets) {
      piece.push({ ...ticket, text: ticket.text.slice(0, TEXT_LIMIT) })
      count += 1
      if (count >= LEARN_LIMIT) break
      if (piece.length < PIECE) continue
      await post(worker, { method: 'learnAdd', tickets: piece }, signal)
      piece = []
    }
    await post(worker, { method: 'learnAdd', tickets: piece }, signal)
    return (await post(worker, { method: 'learnEnd' }, signal)) as Learned
  }

  const embedded = async (texts: readonly string[], signal?: AbortSignal): Promise<Embedded> =>
    (await ask({ method: 'embed', texts: texts.map((text) => text.slice(0, TEXT_LIMIT)) }, signal)) as Embedded

  // What each method answers is in engine-thread.ts.
  return {
    classify: async (text, signal) =>
      (await ask({ method: 'judge', text: text.slice(0, TEXT_LIMIT) }, signal)) as Opinion,
    embed: async (texts, signal) => (await embedded(texts, signal)).vectors,
    embedded,
    async index(documents) {
      await ask({ method: 'index', documents })
    },
    async forget(kind, ids) {
      await ask({ method: 'forget', kind, ids })
    },
    find: async (question) => (await ask({ method: 'find', question })) as Found[],
    async learn(tickets, signal = NEVER) {
      const mine = lesson.then(() => {
        if (closing.signal.aborted) throw unavailable('The triage engine is closed')
        return learn(tickets, signal)
      })
      lesson = mine.catch(() => undefined)
      return mine
    },
    async configure(next) {
      ;({ categories, precision } = next)
      await ask({ method: 'configure', ...next })
    },
    save: async () => (await ask({ method: 'save' })) as Uint8Array | null,
    state: async () => ({ ...((await ask({ method: 'state' })) as DeskState), restarts }),
    async close() {
      closing.abort()
      const worker = await started.catch(() => null)
      await worker?.terminate()
      rejectAll(unavailable('The triage engine is closed'))
    },
  }
}
