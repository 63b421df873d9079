import { isObject } from './json.ts'
import type { Priority } from './priority.ts'
import {
  DEFAULT_CATEGORY,
  DEFAULT_PRIORITY,
  type FieldChange,
  resolvedAt,
  type Ticket,
  type TicketChange,
  type TicketDraft,
} from './ticket.ts'

/** A draft whose metadata is JSON text already, as the store keeps it. */
export type StoredDraft = Omit<TicketDraft, 'metadata'> & { metadata: string }

/** What the sender last said of the fields that a person has changed since. */
export type SenderSaid = { category?: string; priority?: Priority }

export type Changes = Record<string, FieldChange>

/** How large the metadata may grow by updates, in characters of JSON: one body's worth. */
const METADATA_LIMIT = 1_048_576

// Keys that describe one version of the ticket: they go when that version does.
const OF_ONE_VERSION = ['full_title', 'unmapped']

export function newTicket(id: number, draft: StoredDraft, now: number): Ticket {
  return {
    id,
    title: draft.title,
    description: draft.description,
    category: draft.category ?? DEFAULT_CATEGORY,
    priority: draft.priority ?? DEFAULT_PRIORITY,
    status: 'new',
    userId: draft.userId,
    userEmail: draft.userEmail,
    metadata: draft.metadata,
    createdAt: now,
    updatedAt: now,
    resolvedAt: null,
  }
}

/**
 * Lays a sender's newer word over a stored ticket. What the sender did not say stays, and so does a category or
 * priority that a person set, until the sender says something other than what that person had in front of them.
 */
export function mergeDraft(
  ticket: Ticket,
  said: SenderSaid,
  draft: StoredDraft,
  now: number,
): { ticket: Ticket; said: SenderSaid; changes: Changes } {
  const merged: Ticket = {
    ...ticket,
    title: draft.title,
    description: draft.description,
    category: draft.category === null || draft.category === said.category ? ticket.category : draft.category,
    priority: draft.priority === null || draft.priority === said.priority ? ticket.priority : draft.priority,
    userId: draft.userId ?? ticket.userId,
    userEmail: draft.userEmail ?? ticket.userEmail,
    metadata: mergeMetadata(ticket.metadata, draft),
  }
  const changes = changesBetween(ticket, merged)
  if (Object.keys(changes).length > 0) merged.updatedAt = now
  const kept: SenderSaid = {}
  if (said.category !== undefined && merged.category === ticket.category) kept.category = said.category
  if (said.priority !== undefined && merged.priority === ticket.priority) kept.priority = said.priority
  return { ticket: merged, said: kept, changes }
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
  return { ticket: changed, said: remembered, changes }
}

function mergeMetadata(stored: string, draft: StoredDraft): string {
  const before = parseObject(stored)
  for (const key of OF_ONE_VERSION) delete before[key]
  if (draft.priority !== null) delete before['original_priority']
  const merged = JSON.stringify({ ...before, ...parseObject(draft.metadata) })
  // New keys with each update would let one ticket grow for ever; what gives way is in the history.
  return merged.length > METADATA_LIMIT ? draft.metadata : merged
}

function changesBetween(before: Ticket, after: Ticket): Changes {
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
  const [from, to] = [parseObject(before.metadata), parseObject(after.metadata)]
  for (const key of new Set([...Object.keys(from), ...Object.keys(to)])) {
    if (JSON.stringify(from[key]) !== JSON.stringify(to[key])) {
      changes[`ticket_metadata.${key}`] = { from: from[key] ?? null, to: to[key] ?? null }
    }
  }
  return changes
}

function parseObject(json: string): Record<string, unknown> {
  const value: unknown = JSON.parse(json)
  return isObject(value) ? value : {}
}
