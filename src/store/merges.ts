import { applyChange, changesBetween, type Changes, type Stored } from '../core/merge.ts'
import { apart, asMerged, assertMergeable } from '../core/merged.ts'
import { fail } from '../core/errors.ts'
import { type Comment, isResolved, type Ticket, type TimelineEntry } from '../core/ticket.ts'
import { storedOf, ticketOf, type TicketRow } from './rows.ts'
import type { NewEntry, Tables } from './tables.ts'

/** Who did it, and when (ms). */
type Author = { at: number; actor: string }

/** The ticket as it is then, and the numbers of all that changed; none where it was so before. */
export type MergeResult = { ticket: Ticket; changed: readonly number[] }

/** What happens between a merged ticket and the one that stands for it; within a transaction, as tickets.ts. */
export function createMerges(
  tables: Tables,
  {
    saveTicket,
    addEntry,
  }: {
    saveTicket: (before: TicketRow, stored: Stored, unsaid: number | null) => void
    addEntry: (entry: Omit<NewEntry, 'commentKey'>) => void
  },
) {
  /** Null when there is no such ticket. Throws `conflict` where it cannot be merged into that one. */
  function merge(id: number, into: number, { at, actor }: Author): MergeResult | null {
    const row = tables.ticketById(id)
    if (row === undefined) return null
    const before = ticketOf(row)
    if (before.merged?.into === into) return { ticket: before, changed: [] }
    const target = tables.ticketById(into)
    if (target === undefined) return fail('conflict', `There is no ticket ${into} to merge into`)
    const behind = { ticket: tables.mergedInto(id), into: tables.mergedInto(into) }
    assertMergeable(before, ticketOf(target), behind)
    const ticket = asMerged({ ...before, merged: { into, at, status: before.status }, updatedAt: at })
    const told = { ...changesBetween(before, ticket), merged_into: { from: null, to: into } }
    note(id, { kind: 'merged', at, actor, changes: told })
    note(into, { kind: 'merged', at, actor, changes: { merged: { from: null, to: id } } })
    saveTicket(row, { ...storedOf(row), ticket: apart(ticket) }, row.unsaid)
    return { ticket, changed: [id, into] }
  }

  /** Gives a ticket back the status that is its own. Null when there is no such ticket. */
  function unmerge(id: number, { at, actor }: Author): MergeResult | null {
    const row = tables.ticketById(id)
    if (row === undefined) return null
    const before = ticketOf(row)
    if (before.merged === null) return { ticket: before, changed: [] }
    const { into } = before.merged
    const ticket: Ticket = { ...apart(before), merged: null, updatedAt: at }
    const told = { ...changesBetween(before, ticket), merged_into: { from: into, to: null } }
    note(id, { kind: 'unmerged', at, actor, changes: told })
    note(into, { kind: 'unmerged', at, actor, changes: { merged: { from: id, to: null } } })
    saveTicket(row, { ...storedOf(row), ticket }, row.unsaid)
    return { ticket, changed: [id, into] }
  }

  /**
   * Tells the ticket that stands for a merged one that something came for that: by number alone, so that what was said
   * is in one place. What would open the merged one again opens this one. Returns its number; null when it is not there.
   */
  function relay(
    { id, merged }: Ticket,
    { kind, comment, at, actor }: Author & { kind: TimelineEntry['kind']; comment: Comment | null },
  ): number | null {
    const row = merged === null ? undefined : tables.ticketById(merged.into)
    if (row === undefined) return null
    const before = storedOf(row)
    const isAwaited = kind === 'reopened' || (comment?.public === true && comment.by_staff === false)
    const reopens = isAwaited && isResolved(before.ticket.status)
    const { ticket, said, changes } = applyChange(before.ticket, before.said, reopens ? { status: 'open' } : {}, at)
    const relayed = { from: null, to: { ticket: id, kind } }
    note(row.id, { kind: 'relayed', at, actor, changes: { relayed, ...changes } })
    if (reopens) saveTicket(row, { ...before, ticket, said }, row.unsaid)
    return row.id
  }

  /** Without the delivery: it is about the other ticket, and is erased and played again with that. */
  function note(ticketId: number, entry: Author & { kind: TimelineEntry['kind']; changes: Changes }): void {
    addEntry({ ...entry, ticketId, deliveryId: null, fingerprint: null, comment: null })
  }

  return { merge, unmerge, relay }
}
