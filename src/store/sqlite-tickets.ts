import { hash } from 'node:crypto'

import {
  type Applied,
  applyChange,
  applyDraft,
  asReply,
  newTicket,
  type Stored,
  type StoredDraft,
} from '../core/merge.ts'
import { applyRemap, type Remap } from '../core/rederive.ts'
import { type Comment, type Ticket, type TicketChange, ticketJson } from '../core/ticket.ts'
import { storedOf, ticketOf, type TicketRow, ticketRow } from './sqlite-rows.ts'
import type { Statements } from './sqlite-statements.ts'
import type { NewDelivery, Outcome } from './store.ts'

/** What became of a draft; no ticket where it told the end of one that was never here. */
export type Upserted = {
  outcome: Outcome
  reason: string | null
  ticketId: number | null
  title: string
  answer: string
  replayed: boolean
}

/** The delivery that a draft came with, and what tells it from another about the same ticket. */
export type Arrival = { deliveryId: number; delivery: NewDelivery; fingerprint: string | null }

/** What happens to tickets and their timelines. Each function runs within a transaction of its caller's. */
export function createTickets(sql: Statements, ids: { ticket: number }) {
  /** The unique index on (platform, account, external id) says whether the ticket is new. */
  function upsert(draft: StoredDraft, arrival: Arrival): Upserted {
    const { deliveryId, delivery, fingerprint } = arrival
    const known = draft.event === null ? null : ticketOfEvent(draft)
    if (known !== null) return update(known.row, known.draft, arrival)
    if (draft.event?.kind === 'deleted') return UNKNOWN_TICKET
    const ticket = newTicket(ids.ticket + 1, draft, delivery.receivedAt)
    if (!insertTicket(ticket, draft, deliveryId, fingerprint)) {
      const row = ticketRow(sql.ticketByIdentity.get(draft.platform, draft.account, draft.externalId))
      return update(row, draft, arrival)
    }
    ids.ticket = ticket.id
    sql.insertJob.run('triage', ticket.id, ticket.createdAt)
    const { id: ticketId, title } = ticket
    const comment = draft.event?.comment
    if (comment) {
      const told = { changes: {}, kind: 'commented' as const, comment }
      addEntry({ ticketId, at: ticket.createdAt, actor: delivery.source, deliveryId, fingerprint: null, ...told })
    }
    return { outcome: 'created', reason: null, ticketId, title, answer: ticketJson(ticket), replayed: false }
  }

  /** The ticket that an event tells of: its own, or for a message the one that it answers. */
  function ticketOfEvent(draft: StoredDraft): { row: TicketRow; draft: StoredDraft } | null {
    const find = (externalId: string | null) =>
      externalId === null ? undefined : sql.ticketByIdentity.get(draft.platform, draft.account, externalId)
    const reply = draft.event?.reply
    if (!reply && draft.event?.kind !== 'deleted') return null // the unique index finds it
    const own = find(draft.externalId)
    if (own !== undefined) return { row: ticketRow(own), draft }
    for (const id of reply?.to ?? []) {
      const parent = find(id)
      if (parent !== undefined) {
        const row = ticketRow(parent)
        return { row, draft: asReply(draft, ticketOf(row)) }
      }
    }
    return null
  }

  function update(row: TicketRow, draft: StoredDraft, arrival: Arrival): Upserted {
    const { deliveryId, delivery, fingerprint } = arrival
    const { id: ticketId, title } = row
    const earlier = earlierDelivery(row, draft, arrival)
    if (earlier !== undefined) {
      const answer = answerOf(sql.delivery.get(earlier), ticketId)
      return { outcome: 'duplicate', reason: `Repeats delivery ${earlier}`, ticketId, title, answer, replayed: true }
    }
    const before = storedOf(row)
    const applied = applyDraft(before, draft, delivery.receivedAt)
    const { ticket, changes, kind } = applied
    const comment = isKnown(ticketId, applied.comment) ? null : applied.comment
    addEntry({
      ticketId,
      at: delivery.receivedAt,
      actor: delivery.source,
      deliveryId,
      fingerprint,
      kind,
      changes,
      comment,
    })
    if (ticket !== before.ticket) saveTicket(row, applied)
    return {
      ...verdictOf(applied, comment),
      ticketId,
      title: ticket.title,
      answer: ticketJson(ticket),
      replayed: false,
    }
  }

  /**
   * Applies a draft once more to the ticket that it made or changed before. Where nothing else has come since, it says
   * what the ticket is, however its kind of event would count as late.
   */
  function playAgain(
    ticketId: number,
    draft: StoredDraft,
    { origin, ...arrival }: Arrival & { origin: number },
  ): Upserted {
    const found = draft.event === null ? null : ticketOfEvent(draft)
    const { row, draft: told } = found ?? { row: ticketRow(sql.ticketById.get(ticketId)), draft }
    const isNewest = sql.otherEntries.get(row.id, origin) === undefined
    const isNews = isNewest && told.event?.kind === 'created'
    const event = isNews && told.event !== null ? { ...told.event, kind: 'updated' as const } : told.event
    const isPast = !isNewest && told.sentUpdatedAt === null
    return update(row, { ...told, event, isPast }, { ...arrival, fingerprint: null })
  }

  /** Whether this comment, in these words, is on the timeline already. */
  function isKnown(ticketId: number, comment: Comment | null): boolean {
    const key = commentKey(comment)
    return key !== null && sql.entryByComment.get(ticketId, key) !== undefined
  }

  /** The delivery that brought this very body about this ticket before, unless it may mean something new by now. */
  function earlierDelivery(row: TicketRow, draft: StoredDraft, { delivery, fingerprint }: Arrival): number | undefined {
    if (fingerprint === null) return undefined // played again on purpose
    const entry = sql.entryByFingerprint.get(row.id, fingerprint)
    if (entry === undefined && row.fingerprint !== fingerprint) return undefined
    const saidAt = entry === undefined ? row.created_at : Number(entry['at'])
    if (isTimeless(draft) && delivery.receivedAt - saidAt > LAST_RETRY_MS) {
      if (entry !== undefined) sql.forgetFingerprint.run(Number(entry['id']))
      return undefined
    }
    return entry === undefined ? row.delivery_id : Number(entry['delivery_id'])
  }

  /** Applies a person's change; null when there is no such ticket. */
  function change(id: number, to: TicketChange, { at, actor }: { at: number; actor: string }): Ticket | null {
    const found = sql.ticketById.get(id)
    if (found === undefined) return null
    const row = ticketRow(found)
    const before = storedOf(row)
    const { ticket, said, changes } = applyChange(before.ticket, before.said, to, at)
    if (Object.keys(changes).length === 0) return ticket
    const entry = { at, actor, kind: 'updated', deliveryId: null, fingerprint: null, comment: null }
    addEntry({ ticketId: id, changes, ...entry })
    saveTicket(row, { ...before, ticket, said })
    return ticket
  }

  /** Lays what another mapping makes of a ticket over it; whether that changed it. */
  function remap(to: Remap, { at, actor }: { at: number; actor: string }): boolean {
    const found = sql.ticketById.get(to.ticketId)
    if (found === undefined) return false
    const row = ticketRow(found)
    const before = storedOf(row)
    const { ticket, said, changes, kept } = applyRemap(before, to, at)
    const isChanged = Object.keys(changes).length > 0
    if (isChanged) {
      const entry = { at, actor, kind: 'remapped', deliveryId: null, fingerprint: null, comment: null }
      addEntry({ ticketId: row.id, changes, ...entry })
    }
    if (isChanged || kept.length > 0) saveTicket(row, { ...before, ticket, said })
    return isChanged
  }

  /**
   * The text that a delivery was answered with. A ticket that still stands as it was made is its own answer;
   * saveTicket keeps the text before the first change.
   */
  function answerOf(delivery: Record<string, unknown> | undefined, ticketId: number | null): string {
    const answer = delivery?.['answer']
    return typeof answer === 'string' ? answer : ticketJson(ticketOf(ticketRow(sql.ticketById.get(ticketId))))
  }

  function saveTicket(before: TicketRow, { ticket, said, sentUpdatedAt }: Stored): void {
    sql.keepAnswer.run(ticketJson(ticketOf(before)), before.delivery_id)
    sql.updateTicket.run(
      ...contentOf(ticket),
      sentUpdatedAt,
      Object.keys(said).length === 0 ? null : JSON.stringify(said),
      ticket.updatedAt,
      ticket.resolvedAt,
      ticket.id,
    )
  }

  function insertTicket(ticket: Ticket, draft: StoredDraft, deliveryId: number, fingerprint: string | null): boolean {
    const { changes } = sql.insertTicket.run(
      ticket.id,
      ...contentOf(ticket),
      draft.platform,
      draft.account,
      draft.externalId,
      draft.sentUpdatedAt,
      draft.externalId === null ? null : fingerprint,
      deliveryId,
      ticket.createdAt,
      ticket.updatedAt,
      ticket.resolvedAt,
    )
    return changes === 1
  }

  function addEntry(entry: {
    ticketId: number
    at: number
    kind: string
    actor: string
    deliveryId: number | null
    changes: Record<string, unknown>
    fingerprint: string | null
    comment: Comment | null
  }): void {
    const { ticketId, at, kind, actor, deliveryId, changes, fingerprint, comment } = entry
    const said = comment === null ? null : JSON.stringify(comment)
    const key = commentKey(comment)
    sql.insertEntry.run(ticketId, at, kind, actor, deliveryId, JSON.stringify(changes), fingerprint, said, key)
  }

  return { upsert, playAgain, change, remap, answerOf }
}

/** What a ticket says, in the order in which both statements that write one bind it. */
const contentOf = (ticket: Ticket) =>
  [
    ticket.title,
    ticket.description,
    ticket.category,
    ticket.priority,
    ticket.status,
    ticket.userId,
    ticket.userEmail,
    ticket.metadata,
  ] as const

/** How long after the first try a sender tries again: Freshdesk's last is an hour and a half later. */
const LAST_RETRY_MS = 2 * 3_600_000

/** Whether an event says no time: "resolved" may then be told in the same bytes a second time, and be meant. */
const isTimeless = ({ event, sentUpdatedAt }: StoredDraft) => event !== null && sentUpdatedAt === null

const UNKNOWN_TICKET: Upserted = {
  outcome: 'ignored',
  reason: 'unknown_ticket',
  ticketId: null,
  title: '',
  answer: JSON.stringify({ status: 'ignored', reason: 'unknown_ticket' }),
  replayed: false,
}

/** What an update came to in the audit log: words that are new count before fields that are. */
function verdictOf({ kind, changes }: Applied, comment: Comment | null): { outcome: Outcome; reason: string | null } {
  if (comment !== null) return { outcome: 'commented', reason: null }
  if (kind === 'outdated') return { outcome: 'ignored', reason: 'Older than what is stored; kept on the timeline only' }
  return { outcome: 'updated', reason: Object.keys(changes).length === 0 ? 'Nothing changed' : null }
}

/** One comment in one wording: a sender without ids tells the last comment again with each change. */
const commentKey = (comment: Comment | null): string | null =>
  comment === null ? null : `${comment.id ?? ''}:${hash('sha256', comment.body)}`
