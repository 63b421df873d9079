import type { DatabaseSync } from 'node:sqlite'

import type { ReceiptFacts } from '../core/receipt.ts'
import type { Remap } from '../core/rederive.ts'
import type { Ticket, TicketChange } from '../core/ticket.ts'
import { createDeliveries, type Verdict } from './sqlite-deliveries.ts'
import { integer, resultCode } from './sqlite-files.ts'
import { statements } from './sqlite-statements.ts'
import { createTickets } from './sqlite-tickets.ts'
import type { Item, NewDelivery, Receipt, Settlement, Submission } from './store.ts'

/**
 * What one submission of a group came to, or why this one alone could not be stored. `facts` are what its receipt is to
 * prove; null for a refusal.
 */
export type Settled = { receipt: Receipt; facts: ReceiptFacts | null } | { error: string }

/** The only code that changes the store. Everything here runs to its end before anything else does. */
export function createWriter(db: DatabaseSync) {
  const sql = statements(db)
  const ids = { ticket: 0, delivery: 0, link: '', known: false }
  const tickets = createTickets(sql, ids)
  const deliveries = createDeliveries(sql, ids)

  /** Stores a group of submissions in one transaction. Throws, with nothing stored, when it cannot commit. */
  function submit(group: readonly Submission[]): Settled[] {
    try {
      return transaction(() => group.map(settle))
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

  function settle(submission: Submission): Settled {
    const receipt: Receipt = { ...submitOne(submission), proof: null }
    const { deliveryId, ticketId, keyReused } = receipt
    if (submission.kind === 'refusal' || keyReused) return { receipt, facts: null }
    // Its delivery is the newest there is.
    return { receipt, facts: { bodySha256: receivedSha256(submission), ticketId, deliveryId, link: ids.link } }
  }

  function submitAlone(submission: Submission): Settled {
    const before = { ...ids }
    db.exec('savepoint alone')
    try {
      const settled = settle(submission)
      db.exec('release alone')
      return settled
    } catch (error) {
      if (isDiskFault(error)) throw error
      db.exec('rollback to alone; release alone')
      Object.assign(ids, before)
      return { error: error instanceof Error ? error.message : String(error) }
    }
  }

  function submitOne(submission: Submission): Settlement {
    const { delivery } = submission
    if (submission.kind === 'refusal') {
      const { status, reason } = submission
      return refused(record(delivery, { ...NO_TICKET, outcome: 'rejected', status, reason }), false)
    }
    if (submission.kind === 'ignored') {
      const { reason, answer } = submission
      const verdict: Verdict = { ...NO_TICKET, outcome: 'ignored', status: 200, reason }
      const isFirst =
        delivery.idempotencyKey === null ||
        sql.deliveryByKey.get(delivery.source, delivery.idempotencyKey) === undefined
      const deliveryId = record(isFirst ? delivery : { ...delivery, idempotencyKey: null }, verdict)
      return { deliveryId, outcome: 'ignored', ticketId: null, answer, replayed: false, keyReused: false }
    }
    if (delivery.replayOf !== null) {
      const made = madeBefore(delivery.replayOf)
      if (made.size > 0) return playAgain(submission, delivery.replayOf, made)
    }
    // Taken as if new: the unique index on the key says whether it is.
    const asNew: Verdict = { ...NO_TICKET, outcome: 'created', status: 200, ticketId: ids.ticket + 1 }
    const deliveryId = deliveries.add(delivery, asNew)
    if (deliveryId === null) return repeat(submission)
    if (submission.kind === 'batch') return submitBatch(deliveryId, delivery, submission.items)
    const result = tickets.upsert(submission.draft, {
      deliveryId,
      delivery,
      fingerprint: delivery.fingerprint ?? delivery.bodySha256,
    })
    if (result.outcome !== 'created') deliveries.amend(deliveryId, { ...result, status: 200 })
    const { outcome, ticketId, answer, replayed } = result
    return { deliveryId, outcome, ticketId, answer, replayed, keyReused: false }
  }

  /**
   * A key that was there before: the same body gets the stored answer. Another body is refused when the sender chose
   * the key; under a platform's own it is worked by the ticket's identity, so that nothing it says is lost.
   */
  function repeat(submission: Exclude<Submission, { kind: 'refusal' | 'ignored' }>): Settlement {
    const { delivery } = submission
    const first = sql.deliveryByKey.get(delivery.source, delivery.idempotencyKey)
    const duplicate = { ...delivery, idempotencyKey: null }
    const isSameBody = first?.['body_sha256'] === delivery.bodySha256
    if (!isSameBody && delivery.keyIsPlatforms && hasIdentity(submission)) {
      return submitOne({ ...submission, delivery: duplicate })
    }
    if (first === undefined || (!isSameBody && !delivery.keyIsPlatforms)) {
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
      answer: tickets.answerOf(first, ticketId),
      replayed: true,
      keyReused: false,
    }
  }

  /** The tickets that a delivery and its replays have made or found so far, by their place in its body. */
  function madeBefore(origin: number): Map<number, number> {
    const made = new Map<number, number>()
    for (const row of sql.playedBefore.all(origin)) {
      if (row['ticket_id'] !== null) made.set(0, Number(row['ticket_id']))
      else for (const [index, ticketId] of ticketsIn(row['answer'])) made.set(index, ticketId)
    }
    return made
  }

  /** A delivery whose tickets are here: it changes them, and makes none of them again. */
  function playAgain(
    submission: Exclude<Submission, { kind: 'refusal' | 'ignored' }>,
    origin: number,
    made: ReadonlyMap<number, number>,
  ): Settlement {
    const delivery = { ...submission.delivery, idempotencyKey: null }
    const deliveryId = record(delivery, { ...NO_TICKET, outcome: 'updated', status: 200 })
    if (submission.kind === 'batch') return submitBatch(deliveryId, delivery, submission.items, { origin, made })
    const ticketId = made.get(0)
    const arrival = { deliveryId, delivery, fingerprint: delivery.fingerprint ?? delivery.bodySha256 }
    const result =
      ticketId === undefined
        ? tickets.upsert(submission.draft, arrival)
        : tickets.playAgain(ticketId, submission.draft, { ...arrival, origin })
    deliveries.amend(deliveryId, { ...result, status: 200 })
    return { deliveryId, outcome: result.outcome, ticketId: result.ticketId, answer: result.answer, ...ONCE }
  }

  function submitBatch(
    deliveryId: number,
    delivery: NewDelivery,
    items: readonly Item[],
    before: { origin: number; made: ReadonlyMap<number, number> } | null = null,
  ): Settlement {
    const created: { index: number; ticket_id: number; title: string }[] = []
    const failed: { index: number; error: string }[] = []
    const ignored: { index: number; reason: string }[] = []
    items.forEach((item, index) => {
      if ('error' in item) return failed.push({ index, error: item.error })
      if ('ignored' in item) return ignored.push({ index, reason: item.ignored })
      const arrival = { deliveryId, delivery, fingerprint: item.fingerprint }
      const known = before?.made.get(index)
      const { ticketId, title, reason } =
        before === null || known === undefined
          ? tickets.upsert(item.draft, arrival)
          : tickets.playAgain(known, item.draft, { ...arrival, origin: before.origin })
      if (ticketId === null) return ignored.push({ index, reason: reason ?? '' })
      return created.push({ index, ticket_id: ticketId, title })
    })
    const answer = JSON.stringify({
      created_count: created.length,
      failed_count: failed.length,
      created_tickets: created,
      failed_tickets: failed,
      ...(ignored.length > 0 ? { ignored_count: ignored.length, ignored } : {}),
    })
    const outcome = created.length > 0 ? 'created' : failed.length > 0 ? 'rejected' : 'ignored'
    const reason = failed.length > 0 ? `${failed.length} of ${items.length} items failed` : null
    deliveries.amend(deliveryId, { outcome, status: 200, reason, ticketId: null, answer })
    return { deliveryId, outcome, ticketId: null, answer, replayed: false, keyReused: false }
  }

  /** Applies a person's change; null when there is no such ticket. */
  function changeTicket(id: number, change: TicketChange, by: { at: number; actor: string }): Ticket | null {
    return transaction(() => tickets.change(id, change, by))
  }

  /** All of them, or none. */
  function remap(remaps: readonly Remap[], by: { at: number; actor: string }): number {
    return transaction(() => remaps.filter((one) => tickets.remap(one, by)).length)
  }

  function record(delivery: NewDelivery, verdict: Verdict): number {
    const id = deliveries.add(delivery, verdict)
    if (id === null) throw new Error('a delivery was not stored: its key was there before')
    return id
  }

  /** See createDeliveries. */
  function prune(before: number, limit: number): number {
    return transaction(() => deliveries.prune(before, limit))
  }

  /** The numbering goes on after the highest number on disk; nothing else hands out numbers. */
  function loadIds(): void {
    ids.ticket = integer(db, 'select max(id) from tickets')
    deliveries.load()
    ids.known = true
  }

  /** Commits this many bytes of nothing, to know that the disk still takes a commit. Throws when it does not. */
  function probe(now: number, bytes: number): void {
    transaction(() => sql.probe.run(now, bytes))
  }

  return { submit, changeTicket, remap, prune, probe }
}

const NO_TICKET = { reason: null, ticketId: null, answer: null }
const ONCE = { replayed: false, keyReused: false }

/** The tickets that a batch was answered with, by their place in it. */
export function ticketsIn(answer: unknown): [index: number, ticketId: number][] {
  if (typeof answer !== 'string' || !answer.startsWith('{"created_count":')) return []
  const { created_tickets: created } = JSON.parse(answer) as { created_tickets: { index: number; ticket_id: number }[] }
  return created.map(({ index, ticket_id: ticketId }) => [index, ticketId])
}

const refused = (deliveryId: number, keyReused: boolean): Settlement => ({
  deliveryId,
  outcome: 'rejected',
  ticketId: null,
  answer: '',
  replayed: false,
  keyReused,
})

/** Of the body that its sender can show, whatever is kept of it. */
const receivedSha256 = ({ delivery }: Submission) => delivery.receivedSha256 ?? delivery.bodySha256

/** Whether the ticket's identity keeps the submission from making a second one. */
const hasIdentity = (submission: Submission) => submission.kind !== 'ticket' || submission.draft.externalId !== null

/** Full, failing, read-only or damaged: no other submission would fare better. Primary result codes of SQLite. */
export function isDiskFault(error: unknown): boolean {
  return [5, 6, 7, 8, 10, 11, 13, 14, 26].includes(resultCode(error))
}
