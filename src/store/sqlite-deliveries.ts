import { randomUUID } from 'node:crypto'

import { type AuditEntry, GENESIS, linkOf, sealOf } from '../core/audit.ts'
import type { Statements } from './sqlite-statements.ts'
import type { NewDelivery, Outcome } from './store.ts'

export type Verdict = {
  outcome: Outcome
  status: number
  reason: string | null
  ticketId: number | null
  answer: string | null
}

/** Where the audit log ends. */
export type Head = { delivery: number; link: string }

/**
 * The rows of the audit log, each linked to the one before as it is written. `head` is the caller's to load and to put
 * back when a transaction fails; each function runs within one.
 */
export function createDeliveries(sql: Statements, head: Head) {
  /** The row that was added last, as long as it may still be amended. */
  let last: { entry: AuditEntry; salt: string; before: string } | null = null

  /** Adds a row; null when its key was there before. */
  function add(delivery: NewDelivery, verdict: Verdict): number | null {
    const entry = entryOf(head.delivery + 1, delivery, verdict)
    const salt = randomUUID()
    const link = linkOf(head.link, entry, sealOf(entry, salt))
    const { changes } = sql.insertDelivery.run(
      entry.id,
      entry.receivedAt,
      entry.source,
      entry.address,
      entry.method,
      entry.path,
      entry.headers,
      delivery.body,
      entry.bodySize,
      entry.bodySha256,
      entry.requestId,
      entry.platform,
      entry.idempotencyKey,
      entry.outcome,
      entry.status,
      entry.reason,
      entry.ticketId,
      entry.durationUs,
      verdict.answer,
      salt,
      link,
      entry.replayOf,
    )
    if (changes !== 1) return null
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
    sql.amendDelivery.run(outcome, status, reason, ticketId, answer, link, id)
    last = { entry, salt, before }
    head.link = link
  }

  /**
   * Forgets deliveries from the oldest on, up to the first received at `before` (ms) or later and at most `limit` of
   * them; returns how many. The newest row always stays: it is where numbering and chain go on.
   */
  function prune(before: number, limit: number): number {
    const oldest = sql.oldest.all(head.delivery, limit)
    const kept = oldest.findIndex((row) => Number(row['received_at']) >= before)
    const gone = oldest[(kept < 0 ? oldest.length : kept) - 1]
    if (gone === undefined) return 0
    const id = Number(gone['id'])
    const link = sql.linkOfDelivery.get(id)?.['link']
    // A row without a link is from before the chain, which then still begins where it did.
    if (typeof link === 'string') sql.moveAnchor.run(id, link)
    return Number(sql.prune.run(id).changes)
  }

  /** Numbering and chain go on after the newest row on disk; nothing else adds to them. */
  function load(): void {
    const newest = sql.newestDelivery.get()
    last = null
    head.delivery = Number(newest?.['id'] ?? 0)
    head.link = String(newest?.['link'] ?? sql.anchor.get()?.['link'] ?? GENESIS)
  }

  return { add, amend, prune, load }
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
