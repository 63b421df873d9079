import { setTimeout as sleep } from 'node:timers/promises'

import { isPriority } from '../core/decision.ts'
import type { Store } from '../store/store.ts'
import { type LabelledTicket, ticketText } from '../triage/desk.ts'
import { unit } from '../triage/embedder.ts'
import type { Engine } from '../triage/engine.ts'

/** Ticket numbers that are looked through at a time, and how many there are at most. */
const WINDOW = 1000
const LOOK_BACK = 200_000
/** How soon a person's word is heard, whoever's node it was said to. */
const POLL_MS = 15_000
/** What senders say makes no haste. */
const ANYWAY_MS = 600_000

type Source = Pick<Store, 'figures' | 'triage'>

/** What people and senders said of the newest tickets, newest first, with the vectors that are at hand. */
async function* labelled(store: Source, model: string | null): AsyncGenerator<LabelledTicket> {
  const { newestTicket } = await store.figures()
  const oldest = Math.max(1, newestTicket - LOOK_BACK + 1)
  for (let last = newestTicket; last >= oldest; last -= WINDOW) {
    const first = Math.max(oldest, last - WINDOW + 1)
    const [categories, priorities, vectors] = await Promise.all([
      store.triage.examples('category', first, last),
      store.triage.examples('priority', first, last),
      model === null ? [] : store.triage.vectors(model, last + 1, last - first + 1),
    ])
    const vectorOf = new Map(vectors.map(({ ticketId, vector }) => [ticketId, vector]))
    const tickets = new Map<number, LabelledTicket>()
    for (const example of [...categories, ...priorities]) {
      const vector = vectorOf.get(example.ticketId)
      const none = { category: null, priority: null, vector: vector === undefined ? null : unit(vector) }
      tickets.set(example.ticketId, { text: ticketText(example), ...none })
    }
    for (const { ticketId, value } of categories) Object.assign(tickets.get(ticketId) ?? {}, { category: value })
    for (const { ticketId, value } of priorities) {
      if (isPriority(value)) Object.assign(tickets.get(ticketId) ?? {}, { priority: value })
    }
    yield* tickets.values()
  }
}

export type Learning = {
  /** A person said something here: it is looked for at once. */
  heard: () => void
  /** Everything anew, whatever was said. */
  again: () => void
  close: () => Promise<void>
}

/** Learns at the start, soon after a person said what something is, and now and then what senders said. */
export function startLearning(deps: {
  store: Source
  engine: Pick<Engine, 'learn' | 'state' | 'save'>
  /** Keeps what was learned for the next start. */
  keep: (bytes: Uint8Array) => Promise<void>
  onError: (error: unknown) => void
}): Learning {
  const { store, engine, keep, onError } = deps
  const closing = new AbortController()
  const known = { verdict: -1, ticket: 0, at: -Infinity }
  let wake = Promise.withResolvers<void>()
  const running = run()

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      // Whoever calls while it looks is heard by the next look: this one may have read too early.
      wake = Promise.withResolvers()
      try {
        await lookOnce()
      } catch (error) {
        if (!closing.signal.aborted) onError(error)
      }
      await Promise.race([wake.promise, sleep(POLL_MS, undefined, { ref: false })])
    }
  }

  async function lookOnce(): Promise<void> {
    const verdict = await store.triage.newestVerdict()
    const isNews = verdict !== known.verdict
    if (!isNews && performance.now() - known.at <= ANYWAY_MS) return
    const { newestTicket } = await store.figures()
    if (!isNews && newestTicket === known.ticket) return
    const { embedder } = await engine.state()
    const { category, priority } = await engine.learn(labelled(store, embedder), closing.signal)
    Object.assign(known, { verdict, ticket: newestTicket, at: performance.now() })
    if (category.examples + priority.examples === 0) return
    const bytes = await engine.save()
    if (bytes !== null) await keep(bytes)
  }

  return {
    heard: () => wake.resolve(),
    again: () => {
      known.verdict = -1
      wake.resolve()
    },
    close: async () => {
      closing.abort()
      wake.resolve()
      await running
    },
  }
}
