import type { Priority } from './priority.ts'

export const STATUSES = ['new', 'open', 'pending', 'resolved', 'closed'] as const
export type Status = (typeof STATUSES)[number]

export const DEFAULT_CATEGORY = 'general'
export const DEFAULT_PRIORITY: Priority = 'medium'

/**
 * What a sender said of one ticket, normalised. Null is "not said": a new ticket then takes the default
 * and an existing one keeps what it has.
 */
export type TicketDraft = {
  /** The sending system, '' when it did not name itself. Part of the ticket's identity, so never null. */
  platform: string
  /** The sender's tenant (site, account, organisation), '' when there is only one. */
  account: string
  externalId: string | null
  title: string | null
  description: string | null
  category: string | null
  priority: Priority | null
  status: Status | null
  userId: string | null
  userEmail: string | null
  metadata: Record<string, unknown>
  /** When the sender last changed the ticket, in ms since the epoch: orders updates that overtake each other. */
  sentUpdatedAt: number | null
  /** What happened at the sender; null when the sender just sent the ticket as it now is. */
  event: TicketEvent | null
  /** What a new ticket gets where the sender says nothing. */
  defaults?: Defaults
}

type Defaults = { category?: string | undefined; priority?: Priority | undefined }

export const EVENT_KINDS = ['created', 'updated', 'commented', 'solved', 'reopened', 'deleted'] as const
export type EventKind = (typeof EVENT_KINDS)[number]

export type TicketEvent = {
  kind: EventKind
  comment: Comment | null
  /** What a ticket is called that is first heard of by an event which does not say. */
  standIn: { title: string; description: string }
  /** For a message that may answer earlier ones: their external ids, oldest first, and what it is to their ticket. */
  reply: { to: readonly string[]; comment: Comment } | null
}

/** What somebody wrote on a ticket. `public` is false for a note that the customer must not see. */
export type Comment = {
  id: string | null
  body: string
  public: boolean
  author: string | null
  author_id: string | null
  /** Whether an agent wrote it; null when the sender does not say. */
  by_staff: boolean | null
}

/** A stored ticket. `metadata` is JSON text: it is written once and copied into every answer as it is. */
export type Ticket = {
  id: number
  title: string
  description: string
  category: string
  priority: Priority
  status: Status
  userId: string | null
  userEmail: string | null
  metadata: string
  createdAt: number
  updatedAt: number
  resolvedAt: number | null
  /** Null while it stands for itself; see merged.ts. */
  merged: Merged | null
}

/** Which ticket stands for this one, since when (ms), and the status that this one has again when it is un-merged. */
type Merged = { into: number; at: number; status: Status }

/** What a person may change on a ticket. */
export type TicketChange = {
  status?: Status | undefined
  priority?: Priority | undefined
  category?: string | undefined
}

export type FieldChange = { from: unknown; to: unknown }

/** What happens to a ticket here, and not at its sender. */
export const OWN_KINDS = ['outdated', 'remapped', 'erased', 'triaged', 'merged', 'unmerged', 'relayed'] as const

/** One line of a ticket's history. `actor` is who did it: a source's id, or `api`. */
export type TimelineEntry = {
  /**
   * `erased`: what was about a person was taken out; `remapped`: another field map was applied; `triaged`: triage set
   * what nobody had said; `merged`, `unmerged`: on both tickets; `relayed`: something came for a ticket that is merged
   * into this one, and is on that one's timeline.
   */
  kind: EventKind | (typeof OWN_KINDS)[number]
  at: number
  actor: string
  deliveryId: number | null
  changes: Record<string, FieldChange>
  comment: Comment | null
}

/** Whether nobody has to do anything any more. */
export const isResolved = (status: Status | null): boolean => status === 'resolved' || status === 'closed'

/** When the ticket counts as resolved: kept while it stays so, cleared when it is opened again. */
export function resolvedAt(before: Pick<Ticket, 'status' | 'resolvedAt'>, status: Status, now: number): number | null {
  if (!isResolved(status)) return null
  return before.resolvedAt ?? now
}

/** The last timestamp written: a new ticket has the same one twice, and a busy server the next ticket too. */
const last = { ms: Number.NaN, json: '' }

function timestamp(ms: number | null): string {
  if (ms === null) return 'null'
  if (ms !== last.ms) Object.assign(last, { ms, json: `"${new Date(ms).toISOString()}"` })
  return last.json
}

/**
 * The ticket as JSON text, the one shape in which it is ever shown. Text instead of an object, because the
 * metadata is stored as JSON already and an answer that is sent twice has to be the same byte for byte.
 */
export function ticketJson(ticket: Ticket): string {
  return (
    `{"id":${ticket.id},"title":${JSON.stringify(ticket.title)},"description":${JSON.stringify(ticket.description)}` +
    `,"category":${JSON.stringify(ticket.category)},"priority":"${ticket.priority}","status":"${ticket.status}"` +
    `,"user_id":${JSON.stringify(ticket.userId)},"user_email":${JSON.stringify(ticket.userEmail)}` +
    `,"ticket_metadata":${ticket.metadata},"created_at":${timestamp(ticket.createdAt)}` +
    `,"updated_at":${timestamp(ticket.updatedAt)},"resolved_at":${timestamp(ticket.resolvedAt)}}`
  )
}
