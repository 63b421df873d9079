import { flushCompileCache } from 'node:module'
import { setPriority } from 'node:os'
import { setImmediate as turn } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'

import type { Category } from './descriptions.ts'
import { createDesk, type Desk, type LabelledTicket } from './desk.ts'
import type { EmbedderConfig } from './embedder.ts'
import { createEmbedder } from './embedders.ts'
import { createFinder, type Document, type Finder, type FoundKind, type Question } from './finder.ts'

/** What the engine's thread is started with, called with, and answers. */
export type ThreadData = { embedder: EmbedderConfig; categories: readonly Category[]; precision: number }
export type ThreadCall = { id: number } & (
  | { method: 'judge'; text: string }
  | { method: 'embed'; texts: readonly string[] }
  | { method: 'index'; documents: readonly Document[] }
  | { method: 'forget'; kind: FoundKind; ids: readonly number[] }
  | { method: 'find'; question: Question }
  | { method: 'learnBegin' | 'learnEnd' | 'state' | 'save' | 'abort' }
  | { method: 'learnAdd'; tickets: readonly LabelledTicket[] }
  | { method: 'configure'; categories: readonly Category[]; precision: number }
  | { method: 'load'; bytes: Uint8Array }
)
export type ThreadReply = { id: number; value: unknown } | { id: number; error: string }

/** Behind whatever answers senders: the machine gives it what they leave. */
const NICE = 10
/** The newest tickets, and as many pieces of articles: about a kilobyte each with a vector of 512. */
const FINDER_CAPACITY = 20_000
/** How long it learns before it looks whether somebody asks. */
const SLICE_MS = 20

if (parentPort !== null) await serve(parentPort, workerData as ThreadData)
// What a thread compiled is kept for the next start: not by itself, where it is killed or terminated.
flushCompileCache()

async function serve(port: NonNullable<typeof parentPort>, given: ThreadData): Promise<void> {
  const { categories, precision } = given
  // Of the thread alone on Linux; elsewhere of the whole process.
  if (process.platform === 'linux') setPriority(0, NICE)
  const embedder = await createEmbedder(given.embedder)
  const desk = createDesk({ embedder, categories, precision, now: Date.now })
  const finder = createFinder(FINDER_CAPACITY)
  const running = new Map<number, AbortController>()
  const tickets: LabelledTicket[] = []

  port.on('message', async (call: ThreadCall) => {
    if (call.method === 'abort') return running.get(call.id)?.abort()
    const controller = new AbortController()
    running.set(call.id, controller)
    try {
      const value = await answer(call, { desk, finder, tickets }, controller.signal)
      port.postMessage({ id: call.id, value } satisfies ThreadReply)
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      port.postMessage({ id: call.id, error: text } satisfies ThreadReply)
    } finally {
      running.delete(call.id)
    }
  })
}

type Room = { desk: Desk; finder: Finder; tickets: LabelledTicket[] }

async function answer(call: ThreadCall, { desk, finder, tickets }: Room, signal: AbortSignal): Promise<unknown> {
  switch (call.method) {
    case 'judge':
      return desk.judge(call.text, signal)
    case 'embed':
      return desk.embed(call.texts, signal)
    case 'index':
      for (const document of call.documents) finder.add(document)
      return null
    case 'forget':
      for (const id of call.ids) finder.remove(call.kind, id)
      return null
    case 'find':
      return finder.find(call.question)
    case 'learnBegin':
      tickets.length = 0
      return null
    case 'learnAdd':
      tickets.push(...call.tickets)
      return null
    case 'learnEnd':
      return desk.learn(tickets.splice(0), pauser(signal), signal)
    case 'configure':
      return desk.configure(call)
    case 'state':
      return desk.state()
    case 'save':
      return desk.save()
    case 'load':
      return desk.load(call.bytes)
    case 'abort':
      return null
  }
}

function pauser(signal: AbortSignal): () => Promise<void> | undefined {
  let since = performance.now()
  const giveWay = async () => {
    await turn()
    signal.throwIfAborted()
    since = performance.now()
  }
  return () => (performance.now() - since < SLICE_MS ? undefined : giveWay())
}
