// What the API answers with, as the console reads it. Words come from src/core, as types alone.
import type { Priority } from '../../../src/core/priority.ts'
import type { Status, TimelineEntry as CoreEntry } from '../../../src/core/ticket.ts'

export type { Priority, Status }

export const STATUSES = ['new', 'open', 'pending', 'resolved', 'closed'] as const satisfies readonly Status[]
export const PRIORITIES = ['urgent', 'high', 'medium', 'low'] as const satisfies readonly Priority[]

type Suggestion<T> = { value: T; confidence: number; source?: string }

/** What triage made of a ticket, as far as it came; every part may be missing. */
type Triage = {
  category?: Suggestion<string> | null
  priority?: Suggestion<Priority> | null
  language?: string | null
  summary?: string | null
  similar?: { id: number; title: string; similarity?: number }[] | null
  duplicates_of?: number[] | number | null
  draft_reply?: string | null
}

export type Ticket = {
  id: number
  title: string
  description: string
  category: string
  priority: Priority
  status: Status
  user_id: string | null
  user_email: string | null
  ticket_metadata: Record<string, unknown>
  created_at: string
  updated_at: string
  resolved_at: string | null
  /** Only where it is merged: the ticket that stands for it; null where an event says that it is not. */
  merged_into?: number | null
  /** Only where it stands for others. */
  merged?: number[]
  triage?: Triage | null
}

/** A ticket as a list has it and an event tells it: without what only its own page shows. */
export type ListedTicket = Omit<Ticket, 'description' | 'ticket_metadata' | 'merged' | 'triage'> & {
  platform: string | null
  external_id: string | null
  /** How its description begins; an event does not say. */
  excerpt?: string | undefined
}

const EXCERPT = 200
const word = (value: unknown) => (typeof value === 'string' ? value : null)

export function listed(ticket: Ticket): ListedTicket {
  const { description, ticket_metadata: metadata, merged_into: into = null, ...more } = ticket
  const { merged: _merged, triage: _triage, ...rest } = more
  const { platform, external_id: externalId } = metadata
  const excerpt = description.slice(0, EXCERPT)
  return { ...rest, platform: word(platform), external_id: word(externalId), merged_into: into, excerpt }
}

export type TicketPage = { tickets: Ticket[]; next: string | null }

export type TicketChange = { status?: Status; priority?: Priority; category?: string }

export type TimelineEntry = Pick<CoreEntry, 'kind' | 'actor' | 'changes' | 'comment'> & {
  at: string
  delivery_id: number | null
}

/** `GET /api/session`. */
export type Session = {
  /** Everybody on this machine may do everything: no key or source was ever made. */
  open: boolean
  scopes: string[]
  name: string | null
  expires_at: string | null
}

/** `GET /api/about`. */
export type About = { version: string; engine?: string; public_url: string | null; is_open: boolean }
