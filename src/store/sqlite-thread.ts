import { flushCompileCache } from 'node:module'
import { extname } from 'node:path'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

import { ZodError } from 'zod'

import { AppError, type ErrorCode } from '../core/errors.ts'
import { openBeside, StoreError, storePath } from './sqlite-files.ts'
import { CHUNK, openIndex } from './sqlite-index.ts'
import { createReader, type SqliteReader } from './sqlite-reader.ts'
import { isDiskFault } from './sqlite-writer.ts'

/** How often new tickets are indexed: seldom enough to take many at once, often enough not to crowd out the senders. */
const PAUSE_MS = 50
/** How often committed pages are moved from the write-ahead log into the database. */
const CHECKPOINT_MS = 200
const FAULT_PAUSE_MS = 5000
/** Without a new ticket for this long, there is time for what is not urgent. */
const QUIET_MS = 2000

type Call = { id: number; method: string; args: unknown[] }
type Reply = {
  id: number
  value?: unknown
  error?: { message: string; code?: ErrorCode; errcode?: number; isStores?: boolean }
}

/** The functions of `Api`, called across a thread. */
export type Remote<Api> = {
  [Name in keyof Api]: Api[Name] extends (...args: infer Args) => infer Result
    ? (...args: Args) => Promise<Result>
    : never
} & { stop: () => Promise<void> }

/**
 * Starts the thread that reads the store in `directory` and keeps its index. Rejects when it cannot be opened; calls
 * `onDeath` when the thread ends without having been told to, and `onFault` with each fault of the database.
 */
export async function startReader(
  directory: string,
  { onDeath, onFault }: { onDeath: (error: Error) => void; onFault: (error: Error) => void },
): Promise<Remote<SqliteReader>> {
  const file = new URL(`./sqlite-thread${extname(import.meta.url)}`, import.meta.url)
  const worker = new Worker(file, { workerData: directory, name: 'store reader' })
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: unknown) => void }>()
  let calls = 0
  let gone: Error | null = null
  let isOpen = false

  const fail = (error: Error) => {
    gone ??= error
    for (const { reject } of waiting.values()) reject(error)
    waiting.clear()
  }
  worker.on('message', ({ id, value, error }: Reply) => {
    const call = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) return call?.resolve(value)
    const fault = revive(error)
    if (error.errcode !== undefined) onFault(fault)
    // While it opens, the fault itself is for who starts the server; later, a disk is not the fault of who asks.
    const isAsked = isOpen && isDiskFault(fault)
    call?.reject(isAsked ? new AppError('unavailable', `The store cannot be read: ${fault.message}`) : fault)
  })
  let stopping = false
  worker.on('error', fail)
  worker.on('exit', () => {
    fail(new AppError('unavailable', 'The reader of the store has stopped'))
    if (!stopping && gone !== null) onDeath(gone)
  })

  const call = (method: string, args: unknown[]): Promise<unknown> => {
    if (gone !== null) return Promise.reject(gone)
    calls += 1
    const id = calls
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject })
      worker.postMessage({ id, method, args } satisfies Call)
    })
  }
  try {
    await call('open', [])
    isOpen = true
  } catch (error) {
    stopping = true
    await worker.terminate()
    throw error
  }
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  // Both ends are in this file, so what the proxy calls is there.
  return new Proxy({} as Remote<SqliteReader>, {
    get: (_target, method: string) => {
      if (method === 'then') return undefined
      if (method !== 'stop') return (...args: unknown[]) => call(method, args)
      return async () => {
        stopping = true
        worker.postMessage({ id: 0, method: 'stop', args: [] } satisfies Call)
        await exited
      }
    },
  })
}

function revive(error: NonNullable<Reply['error']>): Error {
  if (error.code !== undefined) return new AppError(error.code, error.message)
  if (error.isStores === true) return new StoreError(error.message)
  return Object.assign(new Error(error.message), error.errcode === undefined ? {} : { errcode: error.errcode })
}

/** Everything but writing tickets: answers questions, keeps the index, and moves committed pages out of the log. */
function open(directory: string, onFault: (error: unknown) => void): { api: SqliteReader; close: () => void } {
  const db = openBeside(storePath(directory))
  const index = openIndex(directory, db)
  const checkpoint = db.prepare('pragma wal_checkpoint(passive)')
  let timer: NodeJS.Timeout
  let busyAt = 0
  let checkpointed = 0
  let uncheckpointed = false

  /** Does the next piece of what waits; returns whether there is more. */
  function tidy(): boolean {
    const found = index.step()
    if (found > 0) busyAt = performance.now()
    uncheckpointed ||= found > 0
    if (found >= CHUNK) return true
    // Here and not in the commit that would otherwise do it, so that no sender waits for it.
    if (uncheckpointed && performance.now() - checkpointed >= CHECKPOINT_MS) {
      checkpoint.get()
      checkpointed = performance.now()
      uncheckpointed = false
    }
    return performance.now() - busyAt > QUIET_MS && index.mergeStep()
  }

  function tick(): void {
    let pause = PAUSE_MS
    try {
      if (tidy()) pause = 0
    } catch (error) {
      onFault(error)
      // The disk is full or failing. The health check says so; this work is caught up when it can be.
      pause = FAULT_PAUSE_MS
    }
    timer = setTimeout(tick, pause)
  }

  timer = setTimeout(tick, PAUSE_MS)
  const close = () => {
    clearTimeout(timer)
    index.close()
    db.close()
  }
  return { api: createReader(db, index), close }
}

if (!isMainThread && parentPort !== null) {
  serve(parentPort, String(workerData))
  // What a thread compiled is kept for the next start: not by itself, where it is killed or terminated.
  flushCompileCache()
}

function serve(port: NonNullable<typeof parentPort>, directory: string): void {
  let store: ReturnType<typeof open> | null = null
  port.on('message', ({ id, method, args }: Call) => {
    try {
      if (method === 'stop') {
        store?.close()
        port.close()
        return
      }
      if (method === 'open') {
        store = open(directory, (error) => port.postMessage({ id: 0, error: describe(error) } satisfies Reply))
        return port.postMessage({ id } satisfies Reply)
      }
      if (store === null) throw new Error('the store is not open')
      const api = store.api as unknown as Record<string, (...values: unknown[]) => unknown>
      port.postMessage({ id, value: api[method]?.(...args) } satisfies Reply)
    } catch (error) {
      port.postMessage({ id, error: describe(error) } satisfies Reply)
    }
  })
}

function describe(error: unknown): NonNullable<Reply['error']> {
  if (error instanceof AppError) return { message: error.message, code: error.code }
  if (!(error instanceof Error)) return { message: String(error) }
  if (error instanceof StoreError) return { message: error.message, isStores: true }
  // A row that is none of ours any more: a bit of it was turned over.
  if (error instanceof SyntaxError || error instanceof ZodError) return { message: 'a row is damaged', errcode: 11 }
  return 'errcode' in error ? { message: error.message, errcode: Number(error.errcode) } : { message: error.message }
}
