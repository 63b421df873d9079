import { z } from 'zod'

import { PRIORITIES } from '../core/priority.ts'
import { STATUSES, type Ticket } from '../core/ticket.ts'

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
  }
}
