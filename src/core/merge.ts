import { isObject } from './json.ts'
import type { Priority } from './priority.ts'
import {
  type Comment,
  DEFAULT_CATEGORY,
  DEFAULT_PRIORITY,
  type FieldChange,
  isResolved,
  resolvedAt,
  type Status,
  type Ticket,
  type TicketChange,
  type TicketDraft,
  type TicketEvent,
  type TimelineEntry,
} from './ticket.ts'

/** A draft whose metadata is JSON text already, as the store keeps it. */
export type StoredDraft = Omit<TicketDraft, 'metadata'> & {
  metadata: string
  /** Whether others are known to have come after it: it is played again, and says no time. */
  isPast?: boolean
}

export const storedDraft = (draft: TicketDraft): StoredDraft => ({ ...draft, metadata: JSON.stringify(draft.metadata) })

/** What the sender last said of the fields that a person has changed since. */
export type SenderSaid = { category?: string; priority?: Priority; status?: Status }

export type Changes = Record<string, FieldChange>

/** How large the metadata may grow by updates, in characters of JSON: one body's worth. */
const METADATA_LIMIT = 1_048_576

// Keys that describe one version of the ticket: they go when that version does.
const OF_ONE_VERSION = ['full_title', 'unmapped']
const OF_PRIORITY = ['original_priority', 'priority_unmapped']

/** What a store knows of a ticket beside the ticket itself. */
export type Stored = { ticket: Ticket; said: SenderSaid; sentUpdatedAt: number | null }

/** What a draft makes of a stored ticket: the new state, and the line of its history. */
export type Applied = Stored & { changes: Changes; kind: TimelineEntry['kind']; comment: Comment | null }

export function newTicket(id: number, draft: StoredDraft, now: number): Ticket {
  const { event, defaults } = draft
  const status = draft.status ?? 'new'
  const title = draft.title ?? event?.standIn.title ?? ''
  return {
    id,
    title,
    description: draft.description ?? event?.standIn.description ?? title,
    category: draft.category ?? defaults?.category ?? DEFAULT_CATEGORY,
    priority: draft.priority ?? defaults?.priority ?? DEFAULT_PRIORITY,
    status,
    userId: draft.userId,
    userEmail: draft.userEmail,
    metadata: draft.metadata,
    createdAt: now,
    updatedAt: now,
    resolvedAt: isResolved(status) ? now : null,
    merged: null,
  }
}

/** Applies a sender's draft to the ticket that it is about, in whatever order the sender's drafts arrive. */
export function applyDraft(stored: Stored, draft: StoredDraft, now: number): Applied {
  const { ticket, said, sentUpdatedAt } = stored
  const comment = draft.event?.comment ?? null
  if (!isLate(stored, draft)) {
    const merged = mergeDraft(ticket, said, draft, now)
    const kind = draft.event === null || draft.event.kind === 'created' ? 'updated' : draft.event.kind
    return { ...merged, sentUpdatedAt: draft.sentUpdatedAt ?? sentUpdatedAt, kind, comment }
  }
  // A whole ticket that comes late changes nothing; what it says is kept in the history.
  if (draft.event === null) {
    const { changes } = mergeDraft(ticket, said, draft, now)
    return { ...stored, changes, kind: 'outdated', comment: null }
  }
  const filled = fillIn(ticket, draft, draft.event, now)
  return { ...filled, said, sentUpdatedAt, kind: comment === null ? 'outdated' : 'commented', comment }
}

/**
 * Whether a draft knows less than what is stored. The news that a ticket was made is late when the ticket is there,
 * unless its time proves it newer; a comment that does not say how old its view of the ticket is counts as late too.
 */
function isLate(
  { ticket, sentUpdatedAt }: Stored,
  { sentUpdatedAt: sent, event, title, isPast }: StoredDraft,
): boolean {
  if (isPast) return true
  const isFirstTold = event !== null && title !== null && ticket.title === event.standIn.title
  if (isFirstTold && event.kind === 'created') return false
  if (sent === null) return event?.kind === 'created' || event?.kind === 'commented'
  if (sentUpdatedAt === null) return false
  return event?.kind === 'created' ? sent <= sentUpdatedAt : sent < sentUpdatedAt
}

/** What a late event says of a ticket that nobody said before. */
function fillIn(
  ticket: Ticket,
  draft: StoredDraft,
  { standIn }: TicketEvent,
  now: number,
): { ticket: Ticket; changes: Changes } {
  const isUntold = ticket.description === ticket.title || ticket.description === standIn.description
  const metadata = { ...parseObject(draft.metadata), ...parseObject(ticket.metadata) }
  const filled: Ticket = {
    ...ticket,
    title: ticket.title === standIn.title ? (draft.title ?? ticket.title) : ticket.title,
    description: isUntold ? (draft.description ?? ticket.description) : ticket.description,
    userId: ticket.userId ?? draft.userId,
    userEmail: ticket.userEmail ?? draft.userEmail,
    metadata:
      Object.keys(metadata).length === Object.keys(parseObject(ticket.metadata)).length
        ? ticket.metadata
        : JSON.stringify(metadata),
  }
  const changes = changesBetween(ticket, filled)
  if (Object.keys(changes).length > 0) filled.updatedAt = now
  return { ticket: filled, changes }
}

/** The draft of a message, as an answer on the ticket of an earlier one. A customer's answer opens it again. */
export function asReply(draft: StoredDraft, parent: Ticket): StoredDraft {
  const comment = draft.event?.reply?.comment ?? null
  const reopens = isResolved(parent.status)
  return {
    ...draft,
    title: null,
    description: null,
    category: null,
    priority: null,
    status: reopens ? 'open' : null,
    userId: null,
    userEmail: null,
    metadata: '{}',
    sentUpdatedAt: null,
    event: {
      kind: reopens ? 'reopened' : 'commented',
      comment,
      standIn: { title: parent.title, description: parent.description },
      reply: null,
    },
  }
}

/**
 * Lays a sender's newer word over a stored ticket. What the sender did not say stays, and so does a category,
 * priority or status that a person set, until the sender says something other than what that person had before them.
 */
function mergeDraft(
  ticket: Ticket,
  said: SenderSaid,
  draft: StoredDraft,
  now: number,
): { ticket: Ticket; said: SenderSaid; changes: Changes } {
  // That it was opened again is news even where the sender said "open" before.
  const isNews = draft.event?.kind === 'reopened' || !isSameStatus(draft.status, said.status)
  const status = draft.status !== null && isNews ? draft.status : ticket.status
  const merged: Ticket = {
    ...ticket,
    title: draft.title ?? ticket.title,
    description: draft.description ?? ticket.description,
    category: draft.category === null || draft.category === said.category ? ticket.category : draft.category,
    priority: draft.priority === null || draft.priority === said.priority ? ticket.priority : draft.priority,
    status,
    userId: draft.userId ?? ticket.userId,
    userEmail: draft.userEmail ?? ticket.userEmail,
    metadata: mergeMetadata(ticket.metadata, draft),
    resolvedAt: resolvedAt(ticket, status, now),
  }
  const changes = changesBetween(ticket, merged)
  if (Object.keys(changes).length > 0) merged.updatedAt = now
  const kept: SenderSaid = {}
  if (said.category !== undefined && merged.category === ticket.category) kept.category = said.category
  if (said.priority !== undefined && merged.priority === ticket.priority) kept.priority = said.priority
  if (said.status !== undefined && merged.status === ticket.status) kept.status = said.status
  return { ticket: merged, said: kept, changes }
}

const isActive = (status: Status | null | undefined) => status === 'new' || status === 'open'

/** Most senders have no "new": what they make is "open" at once, and saying so again is no news. */
function isSameStatus(status: Status | null, said: Status | undefined): boolean {
  return status === said || (isActive(status) && isActive(said))
}

/** Applies what a person changed, and remembers the sender's word for it. */
export function applyChange(
  ticket: Ticket,
  said: SenderSaid,
  change: TicketChange,
  now: number,
): { ticket: Ticket; said: SenderSaid; changes: Changes } {
  const status = change.status ?? ticket.status
  const changed: Ticket = {
    ...ticket,
    status,
    category: change.category ?? ticket.category,
    priority: change.priority ?? ticket.priority,
    resolvedAt: resolvedAt(ticket, status, now),
  }
  const changes = changesBetween(ticket, changed)
  if (Object.keys(changes).length > 0) changed.updatedAt = now
  const remembered = { ...said }
  if (changes['category']) remembered.category ??= ticket.category
  if (changes['priority']) remembered.priority ??= ticket.priority
  if (changes['status']) remembered.status ??= ticket.status
  return { ticket: changed, said: remembered, changes }
}

function mergeMetadata(stored: string, draft: StoredDraft): string {
  const before = parseObject(stored)
  const said = parseObject(draft.metadata)
  // An event tells of a part of the ticket: the other parts stay as they were told before.
  if (draft.event !== null && before['unmapped'] !== undefined)
    said['unmapped'] = overlaid(before['unmapped'], said['unmapped'])
  else for (const key of OF_ONE_VERSION) delete before[key]
  if (draft.title !== null) delete before['full_title']
  if (draft.priority !== null) for (const key of OF_PRIORITY) delete before[key]
  const merged = JSON.stringify({ ...before, ...said })
  // New keys with each update would let one ticket grow for ever; what gives way is in the history.
  return merged.length > METADATA_LIMIT ? draft.metadata : merged
}

/** What differs between two states of one ticket. */
export function changesBetween(before: Ticket, after: Ticket): Changes {
  const changes: Changes = {}
  const compare = (field: string, from: unknown, to: unknown) => {
    if (from !== to) changes[field] = { from, to }
  }
  compare('title', before.title, after.title)
  compare('description', before.description, after.description)
  compare('category', before.category, after.category)
  compare('priority', before.priority, after.priority)
  compare('status', before.status, after.status)
  compare('user_id', before.userId, after.userId)
  compare('user_email', before.userEmail, after.userEmail)
  if (before.metadata === after.metadata) return changes
  compareDeep('ticket_metadata', parseObject(before.metadata), parseObject(after.metadata), changes)
  return changes
}

/** Names what differs, not the whole that it lies in: metadata can be a whole payload of which one value changed. */
function compareDeep(path: string, from: Record<string, unknown>, to: Record<string, unknown>, changes: Changes): void {
  for (const key of new Set([...Object.keys(from), ...Object.keys(to)])) {
    const [a, b] = [from[key], to[key]]
    if (isObject(a) && isObject(b)) compareDeep(`${path}.${key}`, a, b, changes)
    else if (JSON.stringify(a) !== JSON.stringify(b)) changes[`${path}.${key}`] = { from: a ?? null, to: b ?? null }
  }
}

/** The newer value laid over the older one, object by object. */
function overlaid(older: unknown, newer: unknown): unknown {
  if (newer === undefined) return older
  if (!isObject(older) || !isObject(newer)) return newer
  const entries = Object.entries(newer).map(([key, value]) => [
    key,
    Object.hasOwn(older, key) ? overlaid(older[key], value) : value,
  ])
  return Object.fromEntries([...Object.entries(older), ...entries])
}

export function parseObject(json: string): Record<string, unknown> {
  const value: unknown = JSON.parse(json)
  return isObject(value) ? value : {}
}
