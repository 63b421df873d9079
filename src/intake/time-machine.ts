import { AppError, fail } from '../core/errors.ts'
import { compileFieldMap, type FieldMap } from '../core/field-map.ts'
import { type Stored, storedDraft } from '../core/merge.ts'
import { applyRemap, derive, type Remap, remapBetween } from '../core/rederive.ts'
import type { FieldChange, TicketDraft } from '../core/ticket.ts'
import type { Store, WholeDelivery } from '../store/store.ts'
import { parseBody } from './body.ts'
import { type Mapping, readEvent } from './mapping.ts'
import { eventsIn, incomingOf, type Platforms } from './platforms.ts'
import { replayedRequest } from './replay.ts'
import { isBatch } from './request.ts'
import type { Sources } from './sources.ts'

/** How many deliveries are worked before others have their turn. */
const TURN = 20
const PAGE = 100
/** How many tickets are changed in one transaction. */
const CHUNK = 100

/** What a changed field map makes different about one ticket. */
export type TicketDifference = {
  ticketId: number
  changes: Record<string, FieldChange>
  /** Fields that a person has set since, and that stay. */
  kept: string[]
}

export type Simulation = {
  /** Deliveries that were looked at. */
  deliveries: number
  tickets: number
  differences: TicketDifference[]
  /** Refused then, and taken with this map. */
  mended: { deliveryId: number; reason: string | null; title: string | null }[]
  /** Taken then, and refused with this map. */
  broken: { deliveryId: number; ticketId: number; reason: string }[]
  /** Batches, bodies with several events or none that was kept, and what nobody proved to be the source's. */
  skipped: number
}

export type Progress = (done: number, total: number) => void

type Fold = { before: Stored | null; after: Stored | null }

/** What one mapping makes of one delivery. */
type Made = { draft: TicketDraft } | { refused: string } | null

export type TimeMachine = ReturnType<typeof createTimeMachine>

/** Runs a changed field map over what a source has sent, and shows or makes the difference. */
export function createTimeMachine(deps: { store: Store; sources: Sources; platforms: Platforms; bodyLimit: number }) {
  const { store, sources, platforms, bodyLimit } = deps
  let isRunning = false

  type Order = { id: string; fieldMap: FieldMap; last: number; onProgress?: Progress; onReady?: () => Promise<void> }

  async function run(order: Order) {
    if (isRunning) fail('conflict', 'Another simulation is running; wait for it to end')
    isRunning = true
    try {
      return await rewind(order)
    } finally {
      isRunning = false
    }
  }

  /** Derives each ticket from its deliveries twice, by the map that is and by the one that is proposed. */
  async function rewind({ id, fieldMap, last, onProgress = () => {}, onReady = async () => {} }: Order) {
    const source = sources.find(id) ?? fail('not_found', `No source ${id}`)
    const isEmpty = Object.keys(fieldMap).length === 0
    const proposed: Mapping = { ...source, fieldMap: isEmpty ? null : compileFieldMap(fieldMap) }
    await onReady()
    const { count, after } = await store.lastOf(id, last)
    const folds = new Map<number, Fold>()
    const result: Simulation = { deliveries: 0, tickets: 0, differences: [], mended: [], broken: [], skipped: 0 }
    for (let from = after; result.deliveries < count;) {
      const page = await store.wholeOf(id, from, Math.min(PAGE, count - result.deliveries))
      for (const delivery of page) {
        await look(delivery, { source, proposed, folds, result })
        result.deliveries += 1
        if (result.deliveries % TURN === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      onProgress(result.deliveries, count)
      if (page.length === 0) break
      from = page.at(-1)?.id ?? from
    }
    result.tickets = folds.size
    const remaps = [...folds.values()].flatMap(({ before, after: to }) =>
      before === null || to === null ? [] : (remapBetween(before.ticket, to.ticket) ?? []),
    )
    for (const remap of remaps) {
      const difference = await differenceOf(remap)
      if (difference !== null) result.differences.push(difference)
    }
    return { simulation: result, remaps }
  }

  type Look = { source: Mapping; proposed: Mapping; folds: Map<number, Fold>; result: Simulation }

  async function look(delivery: WholeDelivery, { source, proposed, folds, result }: Look): Promise<void> {
    const { id: deliveryId, outcome, ticketId, receivedAt, reason } = delivery
    if (outcome === 'duplicate') return
    const event = await eventOf(delivery)
    if (event === null || (ticketId === null && outcome !== 'rejected')) {
      result.skipped += outcome === 'ignored' ? 0 : 1
      return
    }
    const after = await makeOf(event, proposed)
    if (ticketId === null) {
      if (after !== null && 'draft' in after) result.mended.push({ deliveryId, reason, title: after.draft.title })
      return
    }
    const before = await makeOf(event, source)
    if (after !== null && 'refused' in after) result.broken.push({ deliveryId, ticketId, reason: after.refused })
    const fold = folds.get(ticketId) ?? { before: null, after: null }
    // Where either mapping makes no ticket of it, it counts for neither: what is compared has to be alike.
    if (before !== null && 'draft' in before && after !== null && 'draft' in after) {
      fold.before = derive(fold.before, ticketId, storedDraft(before.draft), receivedAt)
      fold.after = derive(fold.after, ticketId, storedDraft(after.draft), receivedAt)
    }
    folds.set(ticketId, fold)
  }

  /** The one event that a delivery told of, as it would be read today; null where there is none to be read. */
  async function eventOf(delivery: WholeDelivery) {
    try {
      const by = { address: '', requestId: '', actor: '', now: delivery.receivedAt, trustUnproved: false }
      const { request, body } = await replayedRequest(delivery, by, bodyLimit)
      if (isBatch(request)) return null
      const preset = sources.find(delivery.source)?.platform
      const { platform, events } = eventsIn(platforms, request, parseBody(request, body), preset)
      return events.length === 1 ? { platform, incoming: incomingOf(platforms, request, events[0]) } : null
    } catch (error) {
      if (error instanceof AppError) return null
      throw error
    }
  }

  type Event = NonNullable<Awaited<ReturnType<typeof eventOf>>>

  async function makeOf({ platform, incoming }: Event, mapping: Mapping): Promise<Made> {
    try {
      const event = await readEvent(platforms, platform, incoming, mapping)
      return 'draft' in event ? { draft: event.draft } : null
    } catch (error) {
      if (error instanceof AppError) return { refused: error.message }
      throw error
    }
  }

  async function differenceOf(remap: Remap): Promise<TicketDifference | null> {
    const held = await store.heldTicket(remap.ticketId)
    if (held === null) return null
    const { changes, kept } = applyRemap(held, remap, held.ticket.updatedAt)
    return Object.keys(changes).length + kept.length === 0 ? null : { ticketId: remap.ticketId, changes, kept }
  }

  return {
    /** Changes nothing. Throws `not_found`, `malformed`, and `conflict` while another one runs. */
    simulate: async (order: Omit<Order, 'onReady'>): Promise<Simulation> => (await run(order)).simulation,

    /**
     * Makes the differences real. What people set stays; the timeline of each ticket says what became another. `save`
     * sets the map first, so that what arrives meanwhile is read by it.
     */
    apply: async (order: Omit<Order, 'onReady'>, save: () => Promise<unknown>, actor: string) => {
      const { simulation, remaps } = await run({ ...order, onReady: async () => void (await save()) })
      let changed = 0
      for (let start = 0; start < remaps.length; start += CHUNK) {
        changed += await store.remap(remaps.slice(start, start + CHUNK), actor)
        await new Promise((resolve) => setImmediate(resolve))
      }
      return { ...simulation, changed }
    },
  }
}
