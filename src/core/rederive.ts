import { applyDraft, asReply, type Changes, changesBetween, newTicket, parseObject } from './merge.ts'
import type { SenderSaid, Stored, StoredDraft } from './merge.ts'
import { resolvedAt, type Ticket } from './ticket.ts'

const FIELDS = ['title', 'description', 'category', 'priority', 'status', 'userId', 'userEmail'] as const
type Field = (typeof FIELDS)[number]

/** What another mapping makes different about a ticket. */
export type Remap = {
  ticketId: number
  fields: Partial<Pick<Ticket, Field>>
  metadata: { set: Record<string, unknown>; unset: string[] }
}

/** The ticket after one more of its deliveries, oldest first; `state` is null before the first. `at` in ms. */
export function derive(state: Stored | null, ticketId: number, draft: StoredDraft, at: number): Stored {
  if (state === null) return { ticket: newTicket(ticketId, draft, at), said: {}, sentUpdatedAt: draft.sentUpdatedAt }
  const told = draft.event?.reply ? asReply(draft, state.ticket) : draft
  const { ticket, said, sentUpdatedAt } = applyDraft(state, told, at)
  return { ticket, said, sentUpdatedAt }
}

/** From what one mapping made of a ticket's deliveries to what another makes of them; null where that is the same. */
export function remapBetween(before: Ticket, after: Ticket): Remap | null {
  const fields = Object.fromEntries(
    FIELDS.filter((field) => before[field] !== after[field]).map((field) => [field, after[field]]),
  ) as Remap['fields']
  const metadata: Remap['metadata'] = { set: {}, unset: [] }
  if (before.metadata !== after.metadata) {
    const [from, to] = [parseObject(before.metadata), parseObject(after.metadata)]
    metadata.unset = Object.keys(from).filter((key) => !Object.hasOwn(to, key))
    const changed = Object.entries(to).filter(([key, value]) => JSON.stringify(from[key]) !== JSON.stringify(value))
    metadata.set = Object.fromEntries(changed)
  }
  const isSame = Object.keys(fields).length + Object.keys(metadata.set).length === 0 && metadata.unset.length === 0
  return isSame ? null : { ticketId: after.id, fields, metadata }
}

/** Lays a difference over the ticket as it is now. What a person set stays, and is named in `kept`. */
export function applyRemap(
  { ticket, said }: Stored,
  { fields, metadata }: Remap,
  now: number,
): { ticket: Ticket; said: SenderSaid; changes: Changes; kept: string[] } {
  const kept = (['category', 'priority', 'status'] as const).filter(
    (field) => said[field] !== undefined && fields[field] !== undefined,
  )
  const own = { ...fields }
  const remembered: SenderSaid = { ...said }
  for (const field of kept) {
    Object.assign(remembered, { [field]: fields[field] })
    delete own[field]
  }
  const status = own.status ?? ticket.status
  const after = { ...ticket, ...own, status, resolvedAt: resolvedAt(ticket, status, now) }
  if (Object.keys(metadata.set).length + metadata.unset.length > 0) {
    const left = Object.entries(parseObject(ticket.metadata)).filter(([key]) => !metadata.unset.includes(key))
    after.metadata = JSON.stringify({ ...Object.fromEntries(left), ...metadata.set })
  }
  const changes = changesBetween(ticket, after)
  if (Object.keys(changes).length > 0) after.updatedAt = now
  return { ticket: after, said: remembered, changes, kept }
}
