import { fail } from './errors.ts'
import { isResolved, type Ticket } from './ticket.ts'

/** So many tickets may be merged into one: its answer names them all. */
const MOST = 1000
/** Of those that are in the way, a sentence names so many. */
const NAMED = 5

/** A merged ticket as it is apart from that: what its sender tells, and a mapping makes, is laid over this. */
export function apart(ticket: Ticket): Ticket {
  if (ticket.merged === null) return ticket
  const { status } = ticket.merged
  return { ...ticket, status, resolvedAt: isResolved(status) ? ticket.resolvedAt : null }
}

/** The opposite, of a ticket that is apart: as it is shown, closed, with its own status kept. */
export function asMerged(ticket: Ticket): Ticket {
  const { merged, status, resolvedAt } = ticket
  if (merged === null) return ticket
  return { ...ticket, status: 'closed', resolvedAt: resolvedAt ?? merged.at, merged: { ...merged, status } }
}

/**
 * Throws `conflict` where the merge would make a chain or a circle: a merged ticket is one step from the one that stands
 * for it, so that undoing a merge is always exact. `behind` are the tickets that are merged into each of the two.
 */
export function assertMergeable(
  ticket: Ticket,
  into: Ticket,
  behind: { ticket: readonly number[]; into: readonly number[] },
): void {
  const [from, to] = [ticket.id, into.id]
  if (from === to) fail('conflict', `Ticket ${from} cannot be merged into itself`)
  if (ticket.merged !== null) {
    fail('conflict', `Ticket ${from} is merged into ${ticket.merged.into} already; un-merge it first`)
  }
  if (into.merged?.into === from) fail('conflict', `Ticket ${to} is merged into ${from} already; un-merge it first`)
  if (into.merged !== null) {
    const head = into.merged.into
    fail('conflict', `Ticket ${to} is itself merged into ${head}; merge ${from} into ${head}`)
  }
  if (behind.ticket.length > 0) {
    fail(
      'conflict',
      `Others are merged into ticket ${from} (${listed(behind.ticket)}); merge ${to} into ${from} instead, or un-merge them first`,
    )
  }
  if (behind.into.length >= MOST) fail('conflict', `${MOST} tickets are merged into ${to} already; that is the most`)
}

function listed(ids: readonly number[]): string {
  const named = ids.slice(0, NAMED).join(', ')
  return ids.length > NAMED ? `${named} and ${ids.length - NAMED} more` : named
}
