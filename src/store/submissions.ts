import type { ReceiptFacts } from '../core/receipt.ts'
import { createChain, type Head, type Verdict } from './chain.ts'
import type { Notary } from './receipt-key.ts'
import type { Changes, Item, NewDelivery, Receipt, Settlement, Submission } from './store.ts'
import type { Tables } from './tables.ts'
import { createTickets, type Upserted } from './tickets.ts'

/**
 * What one submission of a group came to, or why this one alone could not be stored. `facts` are what its receipt is to
 * prove; null for a refusal.
 */
export type Settled = { receipt: Receipt; facts: ReceiptFacts | null } | { error: Error }

/** What becomes of a submission: the same in every engine. Each function runs within a transaction of its caller's. */
export function createRules(tables: Tables, head: Head) {
  const tickets = createTickets(tables)
  const chain = createChain(tables, head)

  function settle(submission: Submission): Exclude<Settled, { error: Error }> {
    const receipt: Receipt = { ...submitOne(submission), proof: null }
    const { deliveryId, ticketId, keyReused } = receipt
    if (submission.kind === 'refusal' || keyReused) return { receipt, facts: null }
    // Its delivery is the newest there is.
    return { receipt, facts: { bodySha256: receivedSha256(submission), ticketId, deliveryId, link: head.link } }
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
        delivery.idempotencyKey === null || tables.deliveryByKey(delivery.source, delivery.idempotencyKey) === undefined
      const deliveryId = record(isFirst ? delivery : { ...delivery, idempotencyKey: null }, verdict)
      return { deliveryId, outcome: 'ignored', ticketId: null, answer, replayed: false, keyReused: false }
    }
    if (delivery.replayOf !== null) {
      const made = madeBefore(delivery.replayOf)
      if (made.size > 0) return playAgain(submission, delivery.replayOf, made)
    }
    // Taken as if new: the unique index on the key says whether it is.
    const asNew: Verdict = { ...NO_TICKET, outcome: 'created', status: 200, ticketId: tables.nextTicket() }
    const deliveryId = chain.add(delivery, asNew)
    if (deliveryId === null) return repeat(submission)
    if (submission.kind === 'batch') return submitBatch(deliveryId, delivery, submission.items)
    const result = tickets.upsert(submission.draft, {
      deliveryId,
      delivery,
      fingerprint: delivery.fingerprint ?? delivery.bodySha256,
    })
    if (result.outcome !== 'created') chain.amend(deliveryId, { ...result, status: 200 })
    const { outcome, ticketId, answer, replayed } = result
    return { deliveryId, outcome, ticketId, answer, replayed, keyReused: false, ...relayed([result]) }
  }

  /**
   * A key that was there before: the same body gets the stored answer. Another body is refused when the sender chose
   * the key; under a platform's own it is worked by the ticket's identity, so that nothing it says is lost.
   */
  function repeat(submission: Exclude<Submission, { kind: 'refusal' | 'ignored' }>): Settlement {
    const { delivery } = submission
    const key = delivery.idempotencyKey
    const first = key === null ? undefined : tables.deliveryByKey(delivery.source, key)
    const duplicate = { ...delivery, idempotencyKey: null }
    const isSameBody = first?.bodySha256 === delivery.bodySha256
    if (!isSameBody && delivery.keyIsPlatforms && hasIdentity(submission)) {
      return submitOne({ ...submission, delivery: duplicate })
    }
    if (first === undefined || (!isSameBody && !delivery.keyIsPlatforms)) {
      const reason = `Idempotency key was used before with another body (delivery ${first?.id})`
      return refused(record(duplicate, { ...NO_TICKET, outcome: 'rejected', status: 422, reason }), true)
    }
    const { ticketId } = first
    const reason = `Repeats delivery ${first.id}`
    const deliveryId = record(duplicate, { outcome: 'duplicate', status: 200, reason, ticketId, answer: null })
    return {
      deliveryId,
      outcome: 'duplicate',
      ticketId,
      answer: tickets.answerOf(first.answer, ticketId),
      replayed: true,
      keyReused: false,
    }
  }

  /** The tickets that a delivery and its replays have made or found so far, by their place in its body. */
  function madeBefore(origin: number): Map<number, number> {
    const made = new Map<number, number>()
    for (const { ticketId: own, answer } of tables.played(origin)) {
      if (own !== null) made.set(0, own)
      else for (const [index, ticketId] of ticketsIn(answer)) made.set(index, ticketId)
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
    chain.amend(deliveryId, { ...result, status: 200 })
    const { outcome, answer } = result
    return { deliveryId, outcome, ticketId: result.ticketId, answer, ...ONCE, ...relayed([result]) }
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
    const done: Upserted[] = []
    items.forEach((item, index) => {
      if ('error' in item) return failed.push({ index, error: item.error })
      if ('ignored' in item) return ignored.push({ index, reason: item.ignored })
      const arrival = { deliveryId, delivery, fingerprint: item.fingerprint }
      const known = before?.made.get(index)
      const result =
        before === null || known === undefined
          ? tickets.upsert(item.draft, arrival)
          : tickets.playAgain(known, item.draft, { ...arrival, origin: before.origin })
      done.push(result)
      const { ticketId, title, reason } = result
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
    chain.amend(deliveryId, { outcome, status: 200, reason, ticketId: null, answer })
    return { deliveryId, outcome, ticketId: null, answer, ...ONCE, ...relayed(done) }
  }

  function record(delivery: NewDelivery, verdict: Verdict): number {
    const id = chain.add(delivery, verdict)
    if (id === null) throw new Error('a delivery was not stored: its key was there before')
    return id
  }

  const { change, decide, judge, remap, merge, unmerge } = tickets
  return { settle, change, decide, judge, remap, merge, unmerge }
}

const NO_TICKET = { reason: null, ticketId: null, answer: null }
const ONCE = { replayed: false, keyReused: false }

/** The tickets that were told of what came for those that are merged into them; seldom any. */
function relayed(results: readonly Upserted[]): Pick<Settlement, 'relayedTo'> {
  const told = results.flatMap(({ relayedTo }) => relayedTo ?? [])
  return told.length === 0 ? {} : { relayedTo: told }
}

/** The tickets that a batch was answered with, by their place in it. */
export function ticketsIn(answer: string | null): [index: number, ticketId: number][] {
  if (!answer?.startsWith('{"created_count":')) return []
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

/** Puts the notary's proofs into the receipts of what was committed. */
export function proven(settled: Settled[], notary: Notary): Settled[] {
  const provable = settled.flatMap((one) =>
    'facts' in one && one.facts !== null ? { receipt: one.receipt, facts: one.facts } : [],
  )
  const proofs = notary(provable.map(({ facts }) => facts))
  provable.forEach(({ receipt }, index) => (receipt.proof = proofs[index] ?? null))
  return settled
}

/** What was promised to who submitted it. Throws what kept this one from being stored. */
export function receiptOf(settled: Settled): Receipt {
  if ('error' in settled) throw settled.error
  return settled.receipt
}

/** What a waiting submission takes of memory, about, in bytes. */
export function weightOf({ delivery }: Submission): number {
  return delivery.bodySize * 2 + delivery.headers.length
}

/** The numbers of what a group's submissions changed. */
export function changesOf(settled: readonly Settled[]): Changes {
  const receipts = settled.flatMap((one) => ('receipt' in one ? one.receipt : []))
  return {
    deliveries: receipts.map(({ deliveryId }) => deliveryId),
    tickets: receipts.flatMap(({ ticketId, answer, relayedTo = [] }) =>
      (ticketId === null ? ticketsIn(answer).map(([, id]) => id) : [ticketId]).concat(relayedTo),
    ),
  }
}
