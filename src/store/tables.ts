import type { AuditEntry } from '../core/audit.ts'
import type { Stored, StoredDraft } from '../core/merge.ts'
import type { NewDecision, TriageField } from '../core/decision.ts'
import type { Comment, Ticket, TimelineEntry } from '../core/ticket.ts'
import type { TicketRow } from './rows.ts'
import type { NewDelivery } from './store.ts'

/** A line of a timeline before it is written. */
export type NewEntry = {
  ticketId: number
  at: number
  kind: TimelineEntry['kind']
  actor: string
  deliveryId: number | null
  changes: Record<string, unknown>
  fingerprint: string | null
  comment: Comment | null
  /** Of the comment; see hasComment. */
  commentKey: string | null
}

/** What somebody says that a field of a ticket is. */
export type Verdict = { ticketId: number; field: TriageField; value: string; at: number; actor: string }

/** What is stored of a delivery beside its entry in the audit log. */
export type Kept = { body: NewDelivery['body']; answer: string | null; salt: string; link: string }

/**
 * The rows that the rules of submissions read and write within one transaction (submissions.ts, tickets.ts, chain.ts):
 * every engine has the same rules and its own tables. Each function answers at once and sees what was written before it.
 * A text that is none is thrown out by whatever writes it.
 */
export type Tables = {
  /** The number that the next ticket gets. */
  nextTicket: () => number
  nextDelivery: () => number
  ticketById: (id: number) => TicketRow | undefined
  /** Those that are merged into this one, in order. */
  mergedInto: (id: number) => readonly number[]
  ticketByIdentity: (platform: string, account: string, externalId: string) => TicketRow | undefined
  /** False when there is one of this identity. */
  insertTicket: (
    ticket: Ticket,
    draft: StoredDraft,
    from: { deliveryId: number; fingerprint: string | null; unsaid: number },
  ) => boolean
  /** `unsaid` as TicketRow has it. */
  updateTicket: (stored: Stored, unsaid: number | null) => void
  addJob: (ticket: Ticket, traceparent: string | undefined) => void
  /** False when its key is taken. */
  insertDelivery: (entry: AuditEntry, kept: Kept) => boolean
  amendDelivery: (entry: AuditEntry, kept: Pick<Kept, 'answer' | 'link'>) => void
  deliveryByKey: (
    source: string,
    key: string,
  ) => { id: number; ticketId: number | null; bodySha256: string; answer: string | null } | undefined
  /** What a delivery was answered with; null also when it is not there. */
  answer: (deliveryId: number) => string | null
  /** Sets the answer of a delivery that has none, if it is still there. */
  keepAnswer: (deliveryId: number, answer: string) => void
  /** A delivery and those that played it again, oldest first. */
  played: (origin: number) => { ticketId: number | null; answer: string | null }[]
  /** Whether the ticket's timeline tells of another delivery than this one and those that played it again. */
  hasOtherEntries: (ticketId: number, origin: number) => boolean
  addEntry: (entry: NewEntry) => void
  /** Whether this comment, in these words, is on the ticket's timeline. */
  hasComment: (ticketId: number, commentKey: string) => boolean
  entryByFingerprint: (ticketId: number, fingerprint: string) => { at: number; deliveryId: number } | undefined
  forgetFingerprint: (ticketId: number, fingerprint: string) => void
  /** False when its cause is decided. */
  addDecision: (decision: NewDecision) => boolean
  /** What a person says a field of a ticket is: the newest word counts. */
  setVerdict: (verdict: Verdict) => void
}
