import { randomBytes } from 'node:crypto'

import { instant } from '../core/key.ts'
import type { Ticket } from '../core/ticket.ts'
import type { Changes, Store } from '../store/store.ts'
import type { Bus } from '../work/events.ts'
import { shownDelivery } from './deliveries.ts'

/** Changes are told at once when it is quiet, and together when they come thick. */
const WINDOW_MS = 250
/** More in one window are told as how many they were: who looks at a list asks for it anew. */
const MOST = 50
/** What is kept for readers that come back. */
const KEPT = { events: 2000, chars: 4_000_000 }

export type Feed = {
  /**
   * Calls `send` with text of the event stream: first what was missed since the event `lastId`, then what comes, until
   * the returned function is called.
   */
  follow: (lastId: string | null, send: (text: string) => void) => () => void
  close: () => void
}

/**
 * Turns what commits changed into the console's events. Each is written once for all who listen. The number of an event
 * is good for as long as this feed listens, which is while somebody follows it and `lingerMs` beyond: whoever comes back
 * later, or to another process, is told to ask anew (`more`).
 */
export function createFeed(deps: {
  store: Pick<Store, 'rowsOf' | 'sourceStore'>
  bus: Bus
  onError: (error: unknown) => void
  lingerMs?: number
}): Feed {
  const { store, bus, onError, lingerMs = 120_000 } = deps
  const readers = new Set<(text: string) => void>()
  const pending = { deliveries: createTally(), tickets: createTally(), sources: false }
  let kept: { number: number; text: string }[] = []
  let chars = 0
  let epoch = ''
  let newest = 0
  let toldAt = 0
  let timer: NodeJS.Timeout | null = null
  let isTelling = false
  let lingering: NodeJS.Timeout | null = null
  let stop: (() => void) | null = null

  function listen(): void {
    if (lingering !== null) clearTimeout(lingering)
    lingering = null
    if (stop !== null) return
    epoch = randomBytes(6).toString('base64url')
    newest = 0
    const unsubscribe = bus.subscribe(note)
    const unwatch = store.sourceStore.onSourcesChanged(() => {
      pending.sources = true
      schedule()
    })
    stop = () => {
      unsubscribe()
      unwatch()
      if (timer !== null) clearTimeout(timer)
      timer = null
      kept = []
      chars = 0
    }
  }

  function fallSilent(): void {
    stop?.()
    stop = null
  }

  function note({ deliveries, tickets }: Changes): void {
    for (const id of deliveries) pending.deliveries.add(id)
    for (const id of tickets) pending.tickets.add(id)
    schedule()
  }

  function schedule(): void {
    if (timer !== null || isTelling || stop === null) return
    const wait = Math.max(0, toldAt + WINDOW_MS - performance.now())
    timer = setTimeout(() => {
      timer = null
      void tell()
    }, wait)
  }

  async function tell(): Promise<void> {
    isTelling = true
    toldAt = performance.now()
    const deliveries = pending.deliveries.take()
    const tickets = pending.tickets.take()
    const events = await eventsOf(deliveries, tickets)
    if (pending.sources) events.push(['source', '{}'])
    pending.sources = false
    emit(events)
    isTelling = false
    if (pending.deliveries.count() + pending.tickets.count() > 0 || pending.sources) schedule()
  }

  async function eventsOf(deliveries: Tally, tickets: Tally): Promise<[name: string, data: string][]> {
    const counts: [string, string] = ['more', JSON.stringify({ deliveries: deliveries.count, tickets: tickets.count })]
    if (deliveries.count > MOST || tickets.count > MOST) return [counts]
    if (deliveries.count + tickets.count === 0) return []
    try {
      const rows = await store.rowsOf({ deliveries: deliveries.ids, tickets: tickets.ids })
      return [
        ...rows.tickets.map((ticket): [string, string] => ['ticket', JSON.stringify(listedTicket(ticket))]),
        ...rows.deliveries.map((delivery): [string, string] => ['delivery', JSON.stringify(listedDelivery(delivery))]),
      ]
    } catch (error) {
      onError(error)
      return [counts]
    }
  }

  function emit(events: readonly [name: string, data: string][]): void {
    if (events.length === 0 || stop === null) return
    let all = ''
    for (const [name, data] of events) {
      newest += 1
      const text = eventText(idOf(newest), name, data)
      kept.push({ number: newest, text })
      chars += text.length
      all += text
    }
    while (kept.length > KEPT.events || chars > KEPT.chars) chars -= kept.shift()?.text.length ?? 0
    for (const send of readers) send(all)
  }

  const idOf = (number: number) => `${epoch}-${number}`

  /** What came after this event; null when that is not known any more. */
  function since(lastId: string): string | null {
    const [, of, digits] = /^(.+)-(\d{1,15})$/.exec(lastId) ?? []
    const number = Number(digits)
    if (of !== epoch || number > newest || number < newest - kept.length) return null
    return kept.flatMap((event) => (event.number > number ? event.text : [])).join('')
  }

  function greeting(lastId: string | null): string {
    if (lastId === null) return eventText(idOf(newest), 'ready', '{}')
    return since(lastId) ?? eventText(idOf(newest), 'more', '{"deliveries":null,"tickets":null}')
  }

  return {
    follow: (lastId, send) => {
      listen()
      const text = greeting(lastId)
      if (text !== '') send(text)
      readers.add(send)
      return () => {
        if (!readers.delete(send) || readers.size > 0) return
        lingering = setTimeout(fallSilent, lingerMs)
        lingering.unref()
      }
    },
    close: () => {
      if (lingering !== null) clearTimeout(lingering)
      readers.clear()
      fallSilent()
    },
  }
}

const eventText = (id: string, name: string, data: string) => `id: ${id}\nevent: ${name}\ndata: ${data}\n\n`

type Tally = { ids: number[]; count: number }

/** Numbers, each once; past the most that are told one by one, only how many they were. */
function createTally() {
  let ids = new Set<number>()
  let beyond = 0
  return {
    add: (id: number) => {
      if (ids.size <= MOST) ids.add(id)
      else if (!ids.has(id)) beyond += 1
    },
    count: () => ids.size + beyond,
    take: (): Tally => {
      const taken = { ids: [...ids], count: ids.size + beyond }
      ids = new Set()
      beyond = 0
      return taken
    },
  }
}

/** A delivery as a list has it: its headers are read with the one that is looked at. */
function listedDelivery(delivery: Parameters<typeof shownDelivery>[0]) {
  const { headers: _headers, ...row } = shownDelivery(delivery)
  return row
}

/** A ticket as a list has it: without what only its own page shows, which may be a megabyte. */
function listedTicket(ticket: Ticket) {
  const metadata = JSON.parse(ticket.metadata) as Record<string, unknown> // an object, as the intake made it
  return {
    id: ticket.id,
    title: ticket.title,
    category: ticket.category,
    priority: ticket.priority,
    status: ticket.status,
    user_id: ticket.userId,
    user_email: ticket.userEmail,
    platform: metadata['platform'] ?? null,
    external_id: metadata['external_id'] ?? null,
    created_at: instant(ticket.createdAt),
    updated_at: instant(ticket.updatedAt),
    resolved_at: instant(ticket.resolvedAt),
    merged_into: ticket.merged?.into ?? null,
  }
}
