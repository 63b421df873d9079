import type { DatabaseSync, SQLInputValue } from 'node:sqlite'

import { applyChange, mergeDraft, newTicket, type SenderSaid, type StoredDraft } from '../core/merge.ts'
import { type Ticket, type TicketChange, ticketJson } from '../core/ticket.ts'
import { integer } from './sqlite-files.ts'
import { ticketOf, type TicketRow, ticketRow } from './sqlite-rows.ts'
import type { Item, NewDelivery, Outcome, Receipt, Submission } from './store.ts'

/** What one submission of a group came to: its receipt, or why this one alone could not be stored. */
export type Settled = { receipt: Receipt } | { error: string }

type Verdict = {
  outcome: Outcome
  status: number
  reason: string | null
  ticketId: number | null
  answer: string | null
}
type Upserted = {
  outcome: Outcome
  reason: string | null
  ticketId: number
  title: string
  answer: string
  replayed: boolean
}

/** The only code that changes the store. Everything here runs to its end before anything else does. */
export function createWriter(db: DatabaseSync) {
  const sql = statements(db)
  const ids = { ticket: 0, delivery: 0, known: false }

  /** Stores a group of submissions in one transaction. Throws, with nothing stored, when it cannot commit. */
  function submit(group: readonly Submission[]): Settled[] {
    try {
      return transaction(() => group.map((submission) => ({ receipt: submitOne(submission) })))
    } catch (error) {
      if (isDiskFault(error) || group.length === 0) throw error
      // One of the group is at fault, and it must not take the others with it: give each a savepoint.
      return transaction(() => group.map(submitAlone))
    }
  }

  function transaction<T>(work: () => T): T {
    if (!ids.known) loadIds()
    sql.begin.run()
    try {
      const result = work()
      sql.commit.run()
      return result
    } catch (error) {
      ids.known = false
      if (db.isTransaction) sql.rollback.run()
      throw error
    }
  }

  function submitAlone(submission: Submission): Settled {
    const before = { ...ids }
    db.exec('savepoint alone')
    try {
      const receipt = submitOne(submission)
      db.exec('release alone')
      return { receipt }
    } catch (error) {
      if (isDiskFault(error)) throw error
      db.exec('rollback to alone; release alone')
      Object.assign(ids, before)
      return { error: error instanceof Error ? error.message : String(error) }
    }
  }

  function submitOne(submission: Submission): Receipt {
    const { delivery } = submission
    if (submission.kind === 'refusal') {
      const { status, reason } = submission
      return refused(record(delivery, { ...NO_TICKET, outcome: 'rejected', status, reason }), false)
    }
    // Taken as if new: the unique index on the key says whether it is.
    const deliveryId = ids.delivery + 1
    if (
      !insertDelivery(deliveryId, delivery, { ...NO_TICKET, outcome: 'created', status: 200, ticketId: ids.ticket + 1 })
    ) {
      return repeat(delivery)
    }
    ids.delivery = deliveryId
    if (submission.kind === 'batch') return submitBatch(deliveryId, delivery, submission.items)

    const result = upsert(submission.draft, deliveryId, delivery, delivery.bodySha256)
    if (result.outcome !== 'created') amend(deliveryId, { ...result, status: 200 })
    const { outcome, ticketId, answer, replayed } = result
    return { deliveryId, outcome, ticketId, answer, replayed, keyReused: false }
  }

  /** A key that was there before: the same body gets the stored answer, another body is refused. */
  function repeat(delivery: NewDelivery): Receipt {
    const first = sql.deliveryByKey.get(delivery.source, delivery.idempotencyKey)
    const duplicate = { ...delivery, idempotencyKey: null }
    if (first?.['body_sha256'] !== delivery.bodySha256) {
      const reason = `Idempotency key was used before with another body (delivery ${Number(first?.['id'])})`
      return refused(record(duplicate, { ...NO_TICKET, outcome: 'rejected', status: 422, reason }), true)
    }
    const ticketId = first['ticket_id'] === null ? null : Number(first['ticket_id'])
    const reason = `Repeats delivery ${Number(first['id'])}`
    const deliveryId = record(duplicate, { outcome: 'duplicate', status: 200, reason, ticketId, answer: null })
    return {
      deliveryId,
      outcome: 'duplicate',
      ticketId,
      answer: answerOf(first, ticketId),
      replayed: true,
      keyReused: false,
    }
  }

  function submitBatch(deliveryId: number, delivery: NewDelivery, items: readonly Item[]): Receipt {
    const created: { index: number; ticket_id: number; title: string }[] = []
    const failed: { index: number; error: string }[] = []
    items.forEach((item, index) => {
      if ('error' in item) return failed.push({ index, error: item.error })
      const { ticketId, title } = upsert(item.draft, deliveryId, delivery, item.fingerprint)
      return created.push({ index, ticket_id: ticketId, title })
    })
    const answer = JSON.stringify({
      created_count: created.length,
      failed_count: failed.length,
      created_tickets: created,
      failed_tickets: failed,
    })
    const outcome = created.length > 0 ? 'created' : failed.length > 0 ? 'rejected' : 'ignored'
    const reason = failed.length > 0 ? `${failed.length} of ${items.length} items failed` : null
    amend(deliveryId, { outcome, status: 200, reason, ticketId: null, answer })
    return { deliveryId, outcome, ticketId: null, answer, replayed: false, keyReused: false }
  }

  /** The unique index on (platform, account, external id) says whether the ticket is new. */
  function upsert(draft: StoredDraft, deliveryId: number, delivery: NewDelivery, fingerprint: string): Upserted {
    const ticket = newTicket(ids.ticket + 1, draft, delivery.receivedAt)
    if (!insertTicket(ticket, draft, deliveryId, fingerprint)) return update(draft, deliveryId, delivery, fingerprint)
    ids.ticket = ticket.id
    sql.insertJob.run('triage', ticket.id, ticket.createdAt)
    const { id: ticketId, title } = ticket
    return { outcome: 'created', reason: null, ticketId, title, answer: ticketJson(ticket), replayed: false }
  }

  function update(draft: StoredDraft, deliveryId: number, delivery: NewDelivery, fingerprint: string): Upserted {
    const row = ticketRow(sql.ticketByIdentity.get(draft.platform, draft.account, draft.externalId))
    const { id: ticketId, title } = row
    const earlier = earlierDelivery(row, fingerprint)
    if (earlier !== undefined) {
      const answer = answerOf(sql.delivery.get(earlier), ticketId)
      return { outcome: 'duplicate', reason: `Repeats delivery ${earlier}`, ticketId, title, answer, replayed: true }
    }
    const isOld =
      row.sent_updated_at !== null && draft.sentUpdatedAt !== null && draft.sentUpdatedAt < row.sent_updated_at
    const before = ticketOf(row)
    const merged = mergeDraft(before, senderSaid(row), draft, delivery.receivedAt)
    const entry = {
      ticketId,
      at: delivery.receivedAt,
      actor: delivery.source,
      deliveryId,
      changes: merged.changes,
      fingerprint,
    }
    if (isOld) {
      addEntry({ ...entry, kind: 'outdated' })
      const reason = 'Older than what is stored; kept on the timeline only'
      return { outcome: 'ignored', reason, ticketId, title, answer: ticketJson(before), replayed: false }
    }
    addEntry({ ...entry, kind: 'updated' })
    saveTicket(row, merged.ticket, merged.said, draft.sentUpdatedAt ?? row.sent_updated_at)
    const reason = Object.keys(merged.changes).length === 0 ? 'Nothing changed' : null
    const answer = ticketJson(merged.ticket)
    return { outcome: 'updated', reason, ticketId, title: merged.ticket.title, answer, replayed: false }
  }

  /** The delivery that brought this very body about this ticket before. */
  function earlierDelivery(row: TicketRow, fingerprint: string): number | undefined {
    if (row.fingerprint === fingerprint) return row.delivery_id
    const entry = sql.entryByFingerprint.get(row.id, fingerprint)
    return entry === undefined ? undefined : Number(entry['delivery_id'])
  }

  /** Applies a person's change; null when there is no such ticket. */
  function changeTicket(id: number, change: TicketChange, now: number): Ticket | null {
    return transaction(() => {
      const found = sql.ticketById.get(id)
      if (found === undefined) return null
      const row = ticketRow(found)
      const { ticket, said, changes } = applyChange(ticketOf(row), senderSaid(row), change, now)
      if (Object.keys(changes).length === 0) return ticket
      addEntry({ ticketId: id, at: now, kind: 'updated', actor: 'api', deliveryId: null, changes, fingerprint: null })
      saveTicket(row, ticket, said, row.sent_updated_at)
      return ticket
    })
  }

  /**
   * The text that a delivery was answered with. A ticket that still stands as it was made is its own answer;
   * saveTicket keeps the text before the first change.
   */
  function answerOf(delivery: Record<string, unknown> | undefined, ticketId: number | null): string {
    const answer = delivery?.['answer']
    return typeof answer === 'string' ? answer : ticketJson(ticketOf(ticketRow(sql.ticketById.get(ticketId))))
  }

  function saveTicket(before: TicketRow, ticket: Ticket, said: SenderSaid, sentUpdatedAt: number | null): void {
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

  function insertTicket(ticket: Ticket, draft: StoredDraft, deliveryId: number, fingerprint: string): boolean {
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
  }): void {
    const { ticketId, at, kind, actor, deliveryId, changes, fingerprint } = entry
    sql.insertEntry.run(ticketId, at, kind, actor, deliveryId, JSON.stringify(changes), fingerprint)
  }

  function record(delivery: NewDelivery, verdict: Verdict): number {
    const id = ids.delivery + 1
    if (!insertDelivery(id, delivery, verdict)) throw new Error(`delivery ${id} was not stored`)
    ids.delivery = id
    return id
  }

  function insertDelivery(id: number, delivery: NewDelivery, verdict: Verdict): boolean {
    const { changes } = sql.insertDelivery.run(
      id,
      delivery.receivedAt,
      delivery.source,
      delivery.address,
      delivery.method,
      delivery.path,
      delivery.headers,
      delivery.body,
      delivery.bodySize,
      delivery.bodySha256,
      delivery.requestId,
      delivery.platform,
      delivery.idempotencyKey,
      verdict.outcome,
      verdict.status,
      verdict.reason,
      verdict.ticketId,
      microsecondsSince(delivery.receivedAt),
      verdict.answer,
    )
    return changes === 1
  }

  function amend(id: number, { outcome, status, reason, ticketId, answer }: Verdict): void {
    sql.amendDelivery.run(outcome, status, reason, ticketId, answer, id)
  }

  /**
   * Forgets deliveries received before `before` (ms), at most `limit` of them; returns how many. The newest row
   * always stays: it is where the numbering goes on.
   */
  function prune(before: number, limit: number): number {
    return Number(transaction(() => sql.prune.run(limit, before, ids.delivery).changes))
  }

  /** The numbering goes on after the highest number on disk; nothing else hands out numbers. */
  function loadIds(): void {
    ids.ticket = integer(db, 'select max(id) from tickets')
    ids.delivery = integer(db, 'select max(id) from deliveries')
    ids.known = true
  }

  /** Commits this many bytes of nothing, to know that the disk still takes a commit. Throws when it does not. */
  function probe(now: number, bytes: number): void {
    transaction(() => sql.probe.run(now, bytes))
  }

  return { submit, changeTicket, prune, probe }
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

const NO_TICKET = { reason: null, ticketId: null, answer: null }

const refused = (deliveryId: number, keyReused: boolean): Receipt => ({
  deliveryId,
  outcome: 'rejected',
  ticketId: null,
  answer: '',
  replayed: false,
  keyReused,
})

const microsecondsSince = (time: number) =>
  Math.max(0, Math.round((performance.timeOrigin + performance.now() - time) * 1000))

function senderSaid(row: TicketRow): SenderSaid {
  return row.sender_said === null ? {} : (JSON.parse(row.sender_said) as SenderSaid) // written by saveTicket alone
}

/** Full, failing, read-only or damaged: no other submission would fare better. Primary result codes of SQLite. */
export function isDiskFault(error: unknown): boolean {
  if (!(error instanceof Error) || !('errcode' in error)) return false
  return [5, 6, 7, 8, 10, 11, 13, 14, 26].includes(Number(error.errcode) & 0xff)
}

function statements(db: DatabaseSync) {
  return {
    begin: db.prepare('begin immediate'),
    commit: db.prepare('commit'),
    rollback: db.prepare('rollback'),
    insertTicket: db.prepare(`
      insert into tickets (id, title, description, category, priority, status, user_id, user_email, metadata, platform,
        account, external_id, sent_updated_at, fingerprint, delivery_id, created_at, updated_at)
      values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      on conflict (platform, account, external_id) where external_id is not null do nothing`),
    updateTicket: db.prepare(`
      update tickets set title = ?, description = ?, category = ?, priority = ?, status = ?, user_id = ?, user_email = ?,
        metadata = ?, sent_updated_at = ?, sender_said = ?, updated_at = ?, resolved_at = ? where id = ?`),
    ticketById: db.prepare('select * from tickets where id = ?'),
    ticketByIdentity: db.prepare('select * from tickets where platform = ? and account = ? and external_id = ?'),
    insertJob: db.prepare('insert into jobs (kind, ticket_id, run_at) values (?, ?, ?)'),
    insertDelivery: db.prepare(`
      insert into deliveries (id, received_at, source, address, method, path, headers, body, body_size, body_sha256,
        request_id, platform, idempotency_key, outcome, status, reason, ticket_id, duration_us, answer)
      values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      on conflict (source, idempotency_key) where idempotency_key is not null do nothing`),
    delivery: db.prepare('select id, ticket_id, answer from deliveries where id = ?'),
    deliveryByKey: db.prepare(
      'select id, ticket_id, body_sha256, answer from deliveries where source = ? and idempotency_key = ?',
    ),
    amendDelivery: db.prepare(
      'update deliveries set outcome = ?, status = ?, reason = ?, ticket_id = ?, answer = ? where id = ?',
    ),
    keepAnswer: db.prepare('update deliveries set answer = ? where id = ? and answer is null'),
    insertEntry: db.prepare(`
      insert into timeline (ticket_id, at, kind, actor, delivery_id, changes, fingerprint) values (?, ?, ?, ?, ?, ?, ?)`),
    entryByFingerprint: db.prepare('select delivery_id from timeline where ticket_id = ? and fingerprint = ?'),
    probe: db.prepare('update heartbeat set at = ?, filler = zeroblob(?)'),
    prune: db.prepare(`
      delete from deliveries where id in (select id from deliveries order by id limit ?) and received_at < ? and id < ?`),
  } satisfies Record<string, { run: (...values: SQLInputValue[]) => unknown }>
}
