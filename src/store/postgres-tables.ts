import type { AuditEntry } from '../core/audit.ts'
import type { NewDecision } from '../core/decision.ts'
import type { Stored, StoredDraft } from '../core/merge.ts'
import type { Ticket } from '../core/ticket.ts'
import { bounded, entryKey, identityHash, keyHash, type Loaded, type NewRow, text } from './postgres-rows.ts'
import type { TicketRow } from './rows.ts'
import type { NewEntry, Tables, Verdict } from './tables.ts'

/** What the rules wrote, to be flushed. */
export type Written = {
  /** New ones, and those that were there and changed; each as it is at the end. */
  inserted: Map<number, TicketRow>
  updated: Map<number, TicketRow>
  deliveries: NewRow[]
  answers: Map<number, string>
  entries: NewEntry[]
  /** Of entries that were there. */
  forgotten: { ticketId: number; fingerprint: string }[]
  /** Payloads. */
  jobs: { ticket_id: number; traceparent?: string }[]
  decisions: NewDecision[]
  verdicts: Verdict[]
  /** How many of the numbers were taken. */
  ticketIds: number
}

/** The rules need a number more than were taken from the sequence: more are, and they run again. */
export class OutOfNumbers extends Error {}

/**
 * The tables of PostgreSQL, as far as one transaction may touch them: what was `loaded`, and over it what is written.
 * Nothing here waits, and nothing reaches the database before `written` does.
 */
export function workingSet(loaded: Loaded): { tables: Tables; written: Written } {
  const written: Written = {
    inserted: new Map(),
    updated: new Map(),
    deliveries: [],
    answers: new Map(),
    entries: [],
    forgotten: [],
    jobs: [],
    decisions: [],
    verdicts: [],
    ticketIds: 0,
  }
  const tickets = new Map(loaded.tickets.map((row) => [row.id, row]))
  const identities = new Map<string, number>()
  for (const { id, platform, account, external_id: externalId } of loaded.tickets) {
    if (externalId !== null) identities.set(identityHash(platform, account, externalId), id)
  }
  const fingerprints = new Map(loaded.fingerprints)
  const comments = new Set(loaded.comments)
  const rows = new Map<number, NewRow>()
  const keys = new Map<string, NewRow>()

  /** 0 when there is none: only who makes a ticket of it needs one. */
  const nextTicket = () => loaded.ticketIds[written.ticketIds] ?? 0

  function nextDelivery(): number {
    const id = loaded.deliveryIds[written.deliveries.length]
    if (id === undefined) throw new Error('more deliveries than submissions')
    return id
  }

  function insertTicket(
    ticket: Ticket,
    draft: StoredDraft,
    { deliveryId, fingerprint, unsaid }: { deliveryId: number; fingerprint: string | null; unsaid: number },
  ): boolean {
    const { platform, account, externalId } = draft
    const identity = externalId === null ? null : identityHash(platform, account, externalId)
    if (identity !== null && identities.has(identity)) return false
    if (ticket.id === 0) throw new OutOfNumbers()
    const row: TicketRow = {
      ...contentOf(ticket),
      id: ticket.id,
      platform: text(platform),
      account: text(account),
      external_id: text(externalId),
      sent_updated_at: draft.sentUpdatedAt,
      sender_said: null,
      fingerprint: externalId === null ? null : fingerprint,
      delivery_id: deliveryId,
      created_at: ticket.createdAt,
      unsaid,
      ...mergedOf(ticket),
    }
    written.ticketIds += 1
    written.inserted.set(ticket.id, row)
    tickets.set(ticket.id, row)
    if (identity !== null) identities.set(identity, ticket.id)
    return true
  }

  function updateTicket({ ticket, said, sentUpdatedAt }: Stored, unsaid: number | null): void {
    const before = tickets.get(ticket.id)
    if (before === undefined) throw new Error(`ticket ${ticket.id} was not loaded`)
    const saidText = Object.keys(said).length === 0 ? null : JSON.stringify(said)
    const own = { sent_updated_at: sentUpdatedAt, sender_said: saidText, unsaid }
    const row = { ...before, ...contentOf(ticket), ...mergedOf(ticket), ...own }
    tickets.set(ticket.id, row)
    const into = written.inserted.has(ticket.id) ? written.inserted : written.updated
    into.set(ticket.id, row)
  }

  function insertDelivery(entry: AuditEntry, kept: NewRow['kept']): boolean {
    const { source, idempotencyKey } = entry
    const key = idempotencyKey === null ? null : keyHash(source, idempotencyKey)
    if (key !== null && (keys.has(key) || loaded.keys.has(key))) return false
    for (const value of [source, entry.address, entry.path, entry.headers, entry.requestId]) text(value)
    for (const value of [entry.platform, idempotencyKey, entry.reason]) text(value)
    const row = { entry, kept }
    written.deliveries.push(row)
    rows.set(entry.id, row)
    if (key !== null) keys.set(key, row)
    return true
  }

  function amendDelivery(entry: AuditEntry, kept: { answer: string | null; link: string }): void {
    const row = rows.get(entry.id)
    if (row === undefined) throw new Error(`delivery ${entry.id} is not of this transaction`)
    row.entry = entry
    row.kept = { ...row.kept, ...kept }
  }

  function deliveryByKey(source: string, key: string) {
    const hash = keyHash(source, key)
    const row = keys.get(hash)
    if (row !== undefined) {
      const { id, ticketId, bodySha256 } = row.entry
      return { id, ticketId, bodySha256, answer: row.kept.answer }
    }
    const found = loaded.keys.get(hash)
    return found === undefined ? undefined : { ...found, answer: answer(found.id) }
  }

  const answer = (deliveryId: number): string | null =>
    rows.get(deliveryId)?.kept.answer ?? loaded.answers.get(deliveryId) ?? written.answers.get(deliveryId) ?? null

  function keepAnswer(deliveryId: number, kept: string): void {
    const row = rows.get(deliveryId)
    if (row !== undefined) row.kept = { ...row.kept, answer: row.kept.answer ?? kept }
    else if (!written.answers.has(deliveryId)) written.answers.set(deliveryId, kept)
  }

  const playedNow = (origin: number) =>
    written.deliveries.flatMap(({ entry, kept }) =>
      entry.replayOf === origin ? [{ id: entry.id, ticketId: entry.ticketId, answer: kept.answer }] : [],
    )
  const played = (origin: number) => [...(loaded.played.get(origin) ?? []), ...playedNow(origin)]

  function hasOtherEntries(ticketId: number, origin: number): boolean {
    const own = new Set([origin, ...played(origin).map(({ id }) => id)])
    const now = written.entries.flatMap((entry) => (entry.ticketId === ticketId ? (entry.deliveryId ?? []) : []))
    return [...(loaded.told.get(ticketId) ?? []), ...now].some((id) => !own.has(id))
  }

  function addEntry(entry: NewEntry): void {
    const { ticketId, at, deliveryId, fingerprint, commentKey } = entry
    text(entry.actor)
    written.entries.push(entry)
    if (fingerprint !== null && deliveryId !== null) {
      fingerprints.set(entryKey(ticketId, bounded(fingerprint)), { at, deliveryId })
    }
    if (commentKey !== null) comments.add(entryKey(ticketId, bounded(commentKey)))
  }

  function forgetFingerprint(ticketId: number, fingerprint: string): void {
    if (!fingerprints.delete(entryKey(ticketId, bounded(fingerprint)))) return
    const now = written.entries.findIndex((one) => one.ticketId === ticketId && one.fingerprint === fingerprint)
    const entry = written.entries[now]
    if (entry === undefined) written.forgotten.push({ ticketId, fingerprint })
    else written.entries[now] = { ...entry, fingerprint: null }
  }

  function addDecision(decision: NewDecision): boolean {
    if (loaded.causes.has(entryKey(decision.ticketId, bounded(decision.cause)))) return false
    written.decisions.push(decision)
    return true
  }

  const tables: Tables = {
    nextTicket,
    nextDelivery,
    ticketById: (id) => tickets.get(id),
    mergedInto: (id) => loaded.merged.get(id) ?? [],
    ticketByIdentity: (platform, account, externalId) =>
      tickets.get(identities.get(identityHash(platform, account, externalId)) ?? 0),
    insertTicket,
    updateTicket,
    addJob: ({ id }, traceparent) =>
      written.jobs.push({ ticket_id: id, ...(traceparent !== undefined && { traceparent }) }),
    insertDelivery,
    amendDelivery,
    deliveryByKey,
    answer,
    keepAnswer,
    played,
    hasOtherEntries,
    addEntry,
    hasComment: (ticketId, key) => comments.has(entryKey(ticketId, bounded(key))),
    entryByFingerprint: (ticketId, fingerprint) => fingerprints.get(entryKey(ticketId, bounded(fingerprint))),
    forgetFingerprint,
    addDecision,
    setVerdict: (verdict) => written.verdicts.push(verdict),
  }
  return { tables, written }
}

const mergedOf = ({ merged }: Ticket) => ({
  merged_into: merged?.into ?? null,
  merged_at: merged?.at ?? null,
  own_status: merged?.status ?? null,
})

/** The columns that say what a ticket is. */
function contentOf(ticket: Ticket) {
  return {
    title: text(ticket.title),
    description: text(ticket.description),
    category: text(ticket.category),
    priority: ticket.priority,
    status: ticket.status,
    user_id: text(ticket.userId),
    user_email: text(ticket.userEmail),
    metadata: text(ticket.metadata),
    updated_at: ticket.updatedAt,
    resolved_at: ticket.resolvedAt,
  }
}
