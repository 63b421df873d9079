import { setTimeout as sleep } from 'node:timers/promises'

import type { CronEntry } from '../core/jobs.ts'
import type { Store } from '../store/store.ts'
import { ticketText } from '../triage/desk.ts'
import type { Engine } from '../triage/engine.ts'
import { quantised } from '../triage/finder.ts'
import { documentOf, REMEMBERED, VECTORS_SETTING } from './memory.ts'

/** One node at a time, and a node that died is followed by another so soon. */
const EVERY_MS = 60_000
/** Then it makes room for the next turn, which may be another node's. */
const TURN_MS = 50_000
const PAGE = 64
/** What a decision may have to wait for: 8 texts of the bundled embedder, about a tenth of a second. */
const AT_A_TIME = 8
const BUSY_MS = 100
const NO_VECTOR = new Int8Array()

/**
 * Gives vectors to tickets that have none, or another model's: triage was off when they came, the embedder was changed,
 * the store was moved here. The newest first, as many as can be found, whenever no decision is at work and for half of the
 * time. What is done is in the store, so that whoever has the next turn goes on from there.
 */
export function createEmbedding(deps: {
  store: Pick<Store, 'figures' | 'rowsOf'> & {
    triage: Pick<Store['triage'], 'unembedded' | 'saveVectors' | 'saveSetting'>
  }
  engine: Pick<Engine, 'state' | 'embedded' | 'index'>
  isBusy: () => boolean
  onNotice: (facts: { embedder: string; tickets: number }, what: string) => void
}): {
  cron: CronEntry
  /** How many tickets are to have vectors, and how many have none yet. */
  progress: (embedder: string) => Promise<{ tickets: number; missing: number }>
} {
  const { store, engine, isBusy, onNotice } = deps
  let done: number | null = null

  async function missing(embedder: string) {
    const { newestTicket } = await store.figures()
    return store.triage.unembedded(embedder, newestTicket - REMEMBERED + 1, PAGE)
  }

  async function run(signal: AbortSignal): Promise<void> {
    const until = performance.now() + TURN_MS
    const { embedder } = await engine.state()
    if (embedder === null) return
    while (performance.now() < until && !signal.aborted) {
      const { count, tickets } = await missing(embedder)
      if (tickets.length === 0) return await finish(embedder)
      if (done === null) onNotice({ embedder, tickets: count }, 'tickets without vectors are read in the background')
      done ??= 0
      for (let from = 0; from < tickets.length; from += AT_A_TIME) {
        while (isBusy() && performance.now() < until) await sleep(BUSY_MS, undefined, { signal })
        if (performance.now() >= until) return
        const started = performance.now()
        if (!(await embedSome(embedder, tickets.slice(from, from + AT_A_TIME), signal))) return
        await sleep(performance.now() - started, undefined, { signal })
      }
    }
  }

  /** False where the embedder failed; it is asked again in the next turn. */
  async function embedSome(embedder: string, numbers: number[], signal: AbortSignal): Promise<boolean> {
    const { tickets } = await store.rowsOf({ deliveries: [], tickets: numbers })
    const { vectors, isComplete } = await engine.embedded(tickets.map(ticketText), signal)
    if (!isComplete) return false
    const made = vectors.map((vector) => (vector === null ? NO_VECTOR : quantised(vector)))
    await store.triage.saveVectors(embedder, new Map(tickets.map(({ id }, at) => [id, made[at] ?? NO_VECTOR])))
    await engine.index(tickets.map((ticket, at) => documentOf(ticket, vectors[at] ?? null)))
    done = (done ?? 0) + tickets.length
    return true
  }

  async function finish(embedder: string): Promise<void> {
    if (done === null) return
    onNotice({ embedder, tickets: done }, 'all tickets that can be found as similar have vectors')
    done = null
    await store.triage.saveSetting(VECTORS_SETTING, JSON.stringify({ embedder, at: Date.now() }))
  }

  return {
    cron: { name: 'vectors', everyMs: EVERY_MS, timeLimitMs: EVERY_MS, isInterruptible: true, run },
    progress: async (embedder) => {
      const [{ newestTicket }, { count }] = await Promise.all([store.figures(), missing(embedder)])
      return { tickets: Math.min(newestTicket, REMEMBERED), missing: count }
    },
  }
}
