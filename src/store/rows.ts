import { z } from 'zod'

import type { AccuracyRow, TriageField } from '../core/decision.ts'
import type { SenderSaid, Stored } from '../core/merge.ts'
import { apart } from '../core/merged.ts'
import { PRIORITIES } from '../core/priority.ts'
import { STATUSES, type Ticket, type TimelineEntry } from '../core/ticket.ts'
import type { Example, Outcome, StoredDelivery } from './store.ts'

const nullableText = z.string().nullable()

/** A row of `tickets`, with the store's own columns beside the ticket's. */
const TicketRow = z.object({
  id: z.number(),
  title: z.string(),
  description: z.string(),
  category: z.string(),
  priority: z.enum(PRIORITIES),
  status: z.enum(STATUSES),
  user_id: nullableText,
  user_email: nullableText,
  metadata: z.string(),
  platform: z.string(),
  account: z.string(),
  external_id: nullableText,
  sent_updated_at: z.number().nullable(),
  sender_said: nullableText,
  fingerprint: nullableText,
  delivery_id: z.number(),
  created_at: z.number(),
  updated_at: z.number(),
  resolved_at: z.number().nullable(),
  /** Bits of UNSAID; null when all of it counts as said. */
  unsaid: z.number().nullable(),
  merged_into: z.number().nullable(),
  merged_at: z.number().nullable(),
  own_status: z.enum(STATUSES).nullable(),
})
export type TicketRow = z.infer<typeof TicketRow>

export const ticketRow = (row: unknown): TicketRow => TicketRow.parse(row)

export function ticketOf(row: TicketRow): Ticket {
  return {
    id: row.id,
    title: row.title,
    description: row.description,
    category: row.category,
    priority: row.priority,
    status: row.status,
    userId: row.user_id,
    userEmail: row.user_email,
    metadata: row.metadata,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    resolvedAt: row.resolved_at,
    merged: mergedOf(row),
  }
}

function mergedOf({ merged_into: into, merged_at: at, own_status: status }: TicketRow): Ticket['merged'] {
  return into === null || at === null || status === null ? null : { into, at, status }
}

/** What the rules work on: of a merged ticket, what it is apart from that. */
export function storedOf(row: TicketRow): Stored {
  const said = row.sender_said === null ? {} : (JSON.parse(row.sender_said) as SenderSaid) // written by the writer alone
  return { ticket: apart(ticketOf(row)), said, sentUpdatedAt: row.sent_updated_at }
}

/** The columns of deliveryOf. */
export const DELIVERY = `id, received_at, source, address, method, path, headers, body_size, body_sha256, request_id, platform,
  idempotency_key, outcome, status, reason, ticket_id, duration_us, replay_of`

export const textOrNull = (value: unknown) => (value === null ? null : String(value))
export const numberOrNull = (value: unknown) => (value === null ? null : Number(value))

export function deliveryOf(row: Record<string, unknown>): StoredDelivery {
  return {
    id: Number(row['id']),
    receivedAt: Number(row['received_at']),
    source: String(row['source']),
    address: String(row['address']),
    method: String(row['method']),
    path: String(row['path']),
    headers: String(row['headers']),
    bodySize: Number(row['body_size']),
    bodySha256: String(row['body_sha256']),
    requestId: String(row['request_id']),
    platform: textOrNull(row['platform']),
    idempotencyKey: textOrNull(row['idempotency_key']),
    outcome: row['outcome'] as Outcome, // the writer's own words
    status: Number(row['status']),
    reason: textOrNull(row['reason']),
    ticketId: numberOrNull(row['ticket_id']),
    durationUs: Number(row['duration_us']),
    replayOf: numberOrNull(row['replay_of']),
  }
}

export function entryOf(row: Record<string, unknown>): TimelineEntry {
  return {
    kind: row['kind'] as TimelineEntry['kind'], // the writer's own words
    at: Number(row['at']),
    actor: String(row['actor']),
    deliveryId: numberOrNull(row['delivery_id']),
    changes: JSON.parse(String(row['changes'])),
    comment: row['comment'] === null ? null : JSON.parse(String(row['comment'])),
  }
}

export const exampleOf = (row: Record<string, unknown>): Example => ({
  ticketId: Number(row['id']),
  title: String(row['title']),
  description: String(row['description']),
  value: String(row['value']),
  isByPerson: Number(row['by_person']) === 1,
  saidAt: Number(row['said_at']),
})

export const accuracyOf = (field: TriageField, row: Record<string, unknown>): AccuracyRow => ({
  field,
  value: String(row['value']),
  week: String(row['week']),
  tickets: Number(row['tickets']),
  right: Number(row['right']),
  sure: Number(row['sure']),
  sureRight: Number(row['sure_right']),
})
