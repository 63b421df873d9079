import { randomUUID } from 'node:crypto'

import { type AuditEntry, linkOf, sealOf } from '../core/audit.ts'
import type { NewDelivery, Outcome } from './store.ts'
import type { Tables } from './tables.ts'

export type Verdict = {
  outcome: Outcome
  status: number
  reason: string | null
  ticketId: number | null
  answer: string | null
}

/** Where a chain of the audit log ends: the newest delivery of it, and its link. */
export type Head = { delivery: number; link: string }

/**
 * The rows of the audit log, each linked to the one before as it is written. `head` is the caller's to load and to put
 * back when a transaction fails; each function runs within one.
 */
export function createChain(tables: Tables, head: Head) {
  /** The row that was added last, as long as it may still be amended. */
  let last: { entry: AuditEntry; salt: string; before: string } | null = null

  /** Adds a row; null when its key was there before. */
  function add(delivery: NewDelivery, verdict: Verdict): number | null {
    const entry = entryOf(tables.nextDelivery(), delivery, verdict)
    const salt = randomUUID()
    const link = linkOf(head.link, entry, sealOf(entry, salt))
    if (!tables.insertDelivery(entry, { body: delivery.body, answer: verdict.answer, salt, link })) return null
    last = { entry, salt, before: head.link }
    head.delivery = entry.id
    head.link = link
    return entry.id
  }

  /** Gives the newest row another verdict. An older one has the next row's link upon it. */
  function amend(id: number, { answer, ...verdict }: Verdict): void {
    if (last === null || last.entry.id !== id || head.delivery !== id) throw new Error(`delivery ${id} is not the last`)
    const { salt, before } = last
    const { outcome, status, reason, ticketId } = verdict
    const entry = { ...last.entry, outcome, status, reason, ticketId }
    const link = linkOf(before, entry, sealOf(entry, salt))
    tables.amendDelivery(entry, { answer, link })
    last = { entry, salt, before }
    head.link = link
  }

  return { add, amend }
}

const entryOf = (id: number, delivery: NewDelivery, verdict: Verdict): AuditEntry => ({
  id,
  receivedAt: delivery.receivedAt,
  source: delivery.source,
  address: delivery.address,
  method: delivery.method,
  path: delivery.path,
  headers: delivery.headers,
  bodySha256: delivery.bodySha256,
  hasBody: delivery.body !== null,
  bodySize: delivery.bodySize,
  requestId: delivery.requestId,
  platform: delivery.platform,
  idempotencyKey: delivery.idempotencyKey,
  outcome: verdict.outcome,
  status: verdict.status,
  reason: verdict.reason,
  ticketId: verdict.ticketId,
  durationUs: microsecondsSince(delivery.receivedAt),
  replayOf: delivery.replayOf,
})

/** Since a moment of the wall clock, which may be put forward or back while the process runs. */
function microsecondsSince(time: number): number {
  const [running, wall] = [performance.now(), Date.now()]
  if (Math.abs(origin + running - wall) > CLOCK_STEP_MS) origin = wall - running
  return Math.max(0, Math.round((origin + running - time) * 1000))
}

/** What the two clocks may differ by before one of them was put. */
const CLOCK_STEP_MS = 5
let origin = performance.timeOrigin
