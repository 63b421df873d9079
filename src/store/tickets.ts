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
import { fail } from '../core/errors.ts'
import { asMerged } from '../core/merged.ts'
import { type NewDecision, TRIAGE_FIELDS, type TriageField } from '../core/decision.ts'
import { applyRemap, type Remap } from '../core/rederive.ts'
import { type Comment, type FieldChange, type Ticket, type TicketChange, ticketJson } from '../core/ticket.ts'
import { createMerges } from './merges.ts'
import { storedOf, ticketOf, type TicketRow } from './rows.ts'
import type { NewDelivery, Outcome } from './store.ts'
import type { NewEntry, Tables, Verdict } from './tables.ts'

/** What became of a draft; no ticket where it told the end of one that was never here. */
export type Upserted = {
  outcome: Outcome
  reason: string | null
  ticketId: number | null
  title: string
  answer: string
  replayed: boolean
  /** The ticket that was told of it, where this one is merged into another. */
  relayedTo: number | null
}

/** The delivery that a draft came with, and what tells it from another about the same ticket. */
export type Arrival = { deliveryId: number; delivery: NewDelivery; fingerprint: string | null }

/** What happens to tickets and their timelines. Each function runs within a transaction of its caller's. */
export function createTickets(tables: Tables) {
  const { merge, unmerge, relay } = createMerges(tables, { saveTicket, addEntry })

  /** The unique index on (platform, account, external id) says whether the ticket is new. */
  function upsert(draft: StoredDraft, arrival: Arrival): Upserted {
    const { deliveryId, delivery } = arrival
    const known = draft.event === null ? null : ticketOfEvent(draft)
    if (known !== null) return update(known.row, known.draft, arrival)
    if (draft.event?.kind === 'deleted') return UNKNOWN_TICKET
    const ticket = newTicket(tables.nextTicket(), draft, delivery.receivedAt)
    if (!tables.insertTicket(ticket, draft, { ...arrival, unsaid: unsaidOf(draft) }))
      return update(ownTicket(draft), draft, arrival)
    tables.addJob(ticket, delivery.traceparent)
    const { id: ticketId, title } = ticket
    const comment = draft.event?.comment
    if (comment) {
      const told = { changes: {}, kind: 'commented' as const, comment }
      addEntry({ ticketId, at: ticket.createdAt, actor: delivery.source, deliveryId, fingerprint: null, ...told })
    }
    return { ...FIRST, outcome: 'created', reason: null, ticketId, title, answer: ticketJson(ticket) }
  }

  /** The ticket of this identity, which is there. */
  function ownTicket({ platform, account, externalId }: StoredDraft): TicketRow {
    const row = externalId === null ? undefined : tables.ticketByIdentity(platform, account, externalId)
    if (row === undefined) throw new Error('a ticket was not stored, and there is none of its identity')
    return row
  }

  /** The ticket that an event tells of: its own, or for a message the one that it answers. */
  function ticketOfEvent(draft: StoredDraft): { row: TicketRow; draft: StoredDraft } | null {
    const find = (externalId: string | null) =>
      externalId === null ? undefined : tables.ticketByIdentity(draft.platform, draft.account, externalId)
    const reply = draft.event?.reply
    if (!reply && draft.event?.kind !== 'deleted') return null // the unique index finds it
    const own = find(draft.externalId)
    if (own !== undefined) return { row: own, draft }
    for (const id of reply?.to ?? []) {
      const parent = find(id)
      if (parent !== undefined) return { row: parent, draft: asReply(draft, ticketOf(parent)) }
    }
    return null
  }

  function update(row: TicketRow, draft: StoredDraft, arrival: Arrival): Upserted {
    const { deliveryId, delivery, fingerprint } = arrival
    const { id: ticketId, title } = row
    const earlier = earlierDelivery(row, draft, arrival)
    if (earlier !== undefined) {
      const answer = answerOf(tables.answer(earlier), ticketId)
      const reason = `Repeats delivery ${earlier}`
      return { outcome: 'duplicate', reason, ticketId, title, answer, replayed: true, relayedTo: null }
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
    const unsaid = withSaid(row.unsaid, draft)
    if (ticket !== before.ticket || unsaid !== row.unsaid) saveTicket(row, applied, unsaid)
    const isChanged = kind !== 'outdated' && Object.keys(changes).length > 0
    const isNews = comment !== null || kind === 'reopened' || isChanged
    return {
      ...verdictOf(applied, comment),
      ticketId,
      title: ticket.title,
      answer: ticketJson(asMerged(ticket)),
      replayed: false,
      relayedTo: isNews ? relay(ticket, { kind, comment, at: delivery.receivedAt, actor: delivery.source }) : null,
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
    const { row, draft: told } = found ?? { row: rowOf(ticketId), draft }
    const isNewest = !tables.hasOtherEntries(row.id, origin)
    const isNews = isNewest && told.event?.kind === 'created'
    const event = isNews && told.event !== null ? { ...told.event, kind: 'updated' as const } : told.event
    const isPast = !isNewest && told.sentUpdatedAt === null
    return update(row, { ...told, event, isPast }, { ...arrival, fingerprint: null })
  }

  /** Whether this comment, in these words, is on the timeline already. */
  function isKnown(ticketId: number, comment: Comment | null): boolean {
    const key = commentKey(comment)
    return key !== null && tables.hasComment(ticketId, key)
  }

  /** The delivery that brought this very body about this ticket before, unless it may mean something new by now. */
  function earlierDelivery(row: TicketRow, draft: StoredDraft, { delivery, fingerprint }: Arrival): number | undefined {
    if (fingerprint === null) return undefined // played again on purpose
    const entry = tables.entryByFingerprint(row.id, fingerprint)
    if (entry === undefined && row.fingerprint !== fingerprint) return undefined
    const saidAt = entry === undefined ? row.created_at : entry.at
    if (isTimeless(draft) && delivery.receivedAt - saidAt > LAST_RETRY_MS) {
      if (entry !== undefined) tables.forgetFingerprint(row.id, fingerprint)
      return undefined
    }
    return entry === undefined ? row.delivery_id : entry.deliveryId
  }

  /** Applies a person's change; null when there is no such ticket. A merged one stays closed: throws `conflict`. */
  function change(id: number, asked: TicketChange, { at, actor }: { at: number; actor: string }): Ticket | null {
    const row = tables.ticketById(id)
    if (row === undefined) return null
    const isMerged = row.merged_into !== null
    if (isMerged && asked.status !== undefined && asked.status !== 'closed') {
      fail('conflict', `Ticket ${id} is merged into ${row.merged_into}: change that one, or un-merge this one first`)
    }
    const to = isMerged ? { ...asked, status: undefined } : asked
    const before = storedOf(row)
    const { ticket, said, changes } = applyChange(before.ticket, before.said, to, at)
    for (const field of TRIAGE_FIELDS) {
      const value = to[field]
      if (value !== undefined) tables.setVerdict({ ticketId: id, field, value, at, actor })
    }
    const unsaid = withSaid(row.unsaid, to)
    if (Object.keys(changes).length === 0) {
      if (unsaid !== row.unsaid) saveTicket(row, before, unsaid)
      return asMerged(ticket)
    }
    const entry = { at, actor, kind: 'updated' as const, deliveryId: null, fingerprint: null, comment: null }
    addEntry({ ticketId: id, changes, ...entry })
    saveTicket(row, { ...before, ticket, said }, unsaid)
    return asMerged(ticket)
  }

  /** Keeps a person's word on what a field is, and leaves the ticket as it is; false when there is no such ticket. */
  function judge(verdict: Verdict): boolean {
    if (tables.ticketById(verdict.ticketId) === undefined) return false
    tables.setVerdict(verdict)
    return true
  }

  /**
   * Keeps what triage decided, and sets what it wants to set where nobody has said anything. Once for each cause:
   * `repeated` where there is a decision of it, `gone` where there is no such ticket.
   */
  function decide(decision: NewDecision): 'decided' | 'repeated' | 'gone' {
    const { ticketId, at } = decision
    const row = tables.ticketById(ticketId)
    if (row === undefined) return 'gone'
    const shown = { ...decision.decision }
    const to: TicketChange = {}
    const reasons: Record<string, FieldChange> = {}
    for (const field of TRIAGE_FIELDS) {
      const [value, suggestion] = [decision.set[field], shown[field]]
      if (value === undefined || suggestion === null || ((row.unsaid ?? 0) & UNSAID[field]) === 0) continue
      Object.assign(to, { [field]: value })
      shown[field] = { ...suggestion, set: true }
      reasons[`triage.${field}`] = { from: null, to: { confidence: suggestion.confidence, source: suggestion.source } }
    }
    if (!tables.addDecision({ ...decision, decision: shown })) return 'repeated'
    const before = storedOf(row)
    const { ticket, said, changes } = applyChange(before.ticket, before.said, to, at)
    if (Object.keys(changes).length === 0) return 'decided'
    const entry = { at, actor: 'triage', kind: 'triaged' as const, deliveryId: null, fingerprint: null, comment: null }
    addEntry({ ticketId, changes: { ...changes, ...reasons }, ...entry })
    saveTicket(row, { ...before, ticket, said }, row.unsaid)
    return 'decided'
  }

  /** Lays what another mapping makes of a ticket over it; whether that changed it. */
  function remap(to: Remap, { at, actor }: { at: number; actor: string }): boolean {
    const row = tables.ticketById(to.ticketId)
    if (row === undefined) return false
    const before = storedOf(row)
    const { ticket, said, changes, kept } = applyRemap(before, to, at)
    const isChanged = Object.keys(changes).length > 0
    if (isChanged) {
      const entry = { at, actor, kind: 'remapped' as const, deliveryId: null, fingerprint: null, comment: null }
      addEntry({ ticketId: row.id, changes, ...entry })
    }
    if (isChanged || kept.length > 0) saveTicket(row, { ...before, ticket, said }, row.unsaid)
    return isChanged
  }

  function rowOf(id: number | null): TicketRow {
    const row = id === null ? undefined : tables.ticketById(id)
    if (row === undefined) throw new Error(`there is no ticket ${id}`)
    return row
  }

  /**
   * The text that a delivery was answered with. A ticket that still stands as it was made is its own answer;
   * saveTicket keeps the text before the first change.
   */
  function answerOf(answer: string | null, ticketId: number | null): string {
    return answer ?? ticketJson(ticketOf(rowOf(ticketId)))
  }

  function saveTicket(before: TicketRow, stored: Stored, unsaid: number | null): void {
    tables.keepAnswer(before.delivery_id, ticketJson(ticketOf(before)))
    tables.updateTicket({ ...stored, ticket: asMerged(stored.ticket) }, unsaid)
  }

  function addEntry(entry: Omit<NewEntry, 'commentKey'>): void {
    tables.addEntry({ ...entry, commentKey: commentKey(entry.comment) })
  }

  return { upsert, playAgain, change, decide, judge, remap, merge, unmerge, answerOf }
}

/** The bits of what nobody has said. */
const UNSAID = { category: 1, priority: 2 } as const satisfies Record<TriageField, number>

type Said = { category?: string | null | undefined; priority?: string | null | undefined }

const unsaidOf = (draft: Said) =>
  (draft.category == null ? UNSAID.category : 0) | (draft.priority == null ? UNSAID.priority : 0)

/** What is left unsaid after this was said. */
const withSaid = (unsaid: number | null, draft: Said) => (unsaid === null ? null : unsaid & unsaidOf(draft))

/** How long after the first try a sender tries again: Freshdesk's last is an hour and a half later. */
const LAST_RETRY_MS = 2 * 3_600_000

/** Whether an event says no time: "resolved" may then be told in the same bytes a second time, and be meant. */
const isTimeless = ({ event, sentUpdatedAt }: StoredDraft) => event !== null && sentUpdatedAt === null

const FIRST = { replayed: false, relayedTo: null }

const UNKNOWN_TICKET: Upserted = {
  outcome: 'ignored',
  reason: 'unknown_ticket',
  ticketId: null,
  title: '',
  answer: JSON.stringify({ status: 'ignored', reason: 'unknown_ticket' }),
  ...FIRST,
}

/** What an update came to in the audit log: words that are new count before fields that are. */
function verdictOf({ kind, changes }: Applied, comment: Comment | null): { outcome: Outcome; reason: string | null } {
  if (comment !== null) return { outcome: 'commented', reason: null }
  if (kind === 'outdated') return { outcome: 'ignored', reason: 'Older than what is stored; kept on the timeline only' }
  return { outcome: 'updated', reason: Object.keys(changes).length === 0 ? 'Nothing changed' : null }
}

/** One comment in one wording: a sender without ids tells the last comment again with each change. */
export const commentKey = (comment: Comment | null): string | null =>
  comment === null ? null : `${comment.id ?? ''}:${hash('sha256', comment.body)}`
