import { setTimeout as sleep } from 'node:timers/promises'

import { isResolved, type Ticket } from '../core/ticket.ts'
import type { Store } from '../store/store.ts'
import { ticketText } from '../triage/desk.ts'
import type { Engine } from '../triage/engine.ts'
import type { Document } from '../triage/finder.ts'

/** The newest tickets are remembered, as many as the finder holds. */
export const REMEMBERED = 20_000
/** Set anew, to whatever, once many tickets were given vectors in the background: other nodes then read them. */
export const VECTORS_SETTING = 'vectors'

const PAGE = 200
const POLL_MS = 10_000

export const documentOf = (ticket: Ticket, vector?: Document['vector']): Document => ({
  kind: 'ticket',
  id: ticket.id,
  text: ticketText(ticket),
  isSolved: isResolved(ticket.status),
  isMerged: ticket.merged !== null,
  ...(vector !== undefined && { vector }),
})

/**
 * Keeps the engine's memory of tickets: the newest at the start, and then what becomes of them, also by other nodes.
 * `isTold` where whoever triages a new ticket puts it there itself.
 */
export function startMemory(deps: {
  store: Pick<Store, 'figures' | 'newestEntry' | 'changedSince' | 'rowsOf' | 'tickets'> & {
    triage: Pick<Store['triage'], 'vectors' | 'setting'>
  }
  engine: Pick<Engine, 'index' | 'state'>
  isTold: boolean
  onError: (error: unknown) => void
}): { close: () => Promise<void> } {
  const { store, engine, isTold, onError } = deps
  const closing = new AbortController()
  const known = { ticket: 0, entry: 0, restarts: -1, vectors: '' }
  const running = run()

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      try {
        await look()
      } catch (error) {
        if (!closing.signal.aborted) onError(error)
      }
      await sleep(POLL_MS, undefined, { ref: false, signal: closing.signal }).catch(() => {})
    }
  }

  async function look(): Promise<void> {
    const { embedder, restarts } = await engine.state()
    // A thread that was started again has forgotten everything.
    const vectors = (await store.triage.setting(VECTORS_SETTING)) ?? ''
    const isNew = restarts !== known.restarts || vectors !== known.vectors
    if (isNew) Object.assign(known, { ticket: 0, entry: await store.newestEntry(), restarts, vectors })
    if (isNew || !isTold) await fill(embedder)
    await follow()
  }

  /** The newest tickets that are not known yet, the oldest of them first. */
  async function fill(embedder: string | null): Promise<void> {
    const { newestTicket } = await store.figures()
    const from = Math.max(known.ticket + 1, newestTicket - REMEMBERED + 1)
    for (let first = from; first <= newestTicket && !closing.signal.aborted; first += PAGE) {
      const before = first + PAGE
      const [tickets, stored] = await Promise.all([
        store.tickets({ before, limit: PAGE }),
        embedder === null ? [] : store.triage.vectors(embedder, before, PAGE),
      ])
      const vectorOf = new Map(stored.map(({ ticketId, vector }) => [ticketId, vector]))
      const documents = tickets
        .filter(({ id }) => id >= first)
        .map((ticket) => documentOf(ticket, vectorOf.get(ticket.id) ?? null))
      await engine.index(documents.toReversed())
      known.ticket = before - 1
    }
  }

  /** Tickets that were changed: by their senders, by people, by triage. */
  async function follow(): Promise<void> {
    for (;;) {
      const { tickets, last } = await store.changedSince(known.entry, PAGE)
      if (last === known.entry || closing.signal.aborted) return
      const { tickets: changed } = await store.rowsOf({ deliveries: [], tickets })
      await engine.index(changed.map((ticket) => documentOf(ticket)))
      known.entry = last
    }
  }

  return {
    close: async () => {
      closing.abort()
      await running
    },
  }
}
