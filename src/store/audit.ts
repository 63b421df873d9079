import { type Checkpoint, checkpointJson, GENESIS, isErased, linkOf, sealOf } from '../core/audit.ts'
import type { Anchor, AuditReader, AuditRow, AuditStart } from './store.ts'

const PAGE = 500
/** How far behind its place a displaced row is looked for. */
const SEARCHED = 200

/**
 * What was done to the log. `changed`: the row says something else than its link commits to. `displaced`: another row
 * is in its place, inserted there or swapped. `truncated`, `rewritten`, `forgotten`: what a checkpoint proves is not
 * there, is another, or went with retention.
 */
type FaultKind = 'changed' | 'removed' | 'displaced' | 'truncated' | 'rewritten' | 'forgotten'

/** The first broken link. `detail` is a sentence. */
type Fault = { deliveryId: number; kind: FaultKind; detail: string }

export type AuditReport = {
  /** The rows that are whole, up to the fault where there is one. */
  rows: number
  first: Checkpoint | null
  last: Checkpoint | null
  /** Of those, how many had what may be about a person erased. */
  erased: number
  /** Rows from before the chain, of which nothing is known. */
  uncovered: number
  /** Whether retention took the beginning of the chain. */
  isPruned: boolean
  /** Checkpoints that the log contains. */
  proven: number
  fault: Fault | null
}

/**
 * Follows the chain from the oldest row to the one that is the newest now, page by page, also while the log grows and
 * retention takes rows at its beginning. Stops at the first broken link.
 */
export async function verifyAudit(
  reader: AuditReader,
  options: { node?: string; checkpoints?: Checkpoint[]; onProgress?: (done: number, total: number) => void } = {},
): Promise<AuditReport> {
  const { checkpoints = [], onProgress, node } = options
  const start = await reader.auditStart(node)
  const named = start.node === undefined ? {} : { node: start.node }
  const report: AuditReport = {
    rows: 0,
    first: null,
    last: null,
    erased: 0,
    uncovered: start.anchor.link === GENESIS ? start.before.rows : 0,
    isPruned: start.anchor.link !== GENESIS,
    proven: 0,
    fault: faultBefore(start),
  }
  const wanted = Map.groupBy(checkpoints, ({ deliveryId }) => deliveryId)
  let at = start.anchor
  let isDone = report.fault !== null
  while (!isDone) {
    const { anchor, rows } = await reader.auditPage(at.deliveryId, PAGE, node)
    if (anchor.deliveryId > at.deliveryId) {
      at = start.anchor = anchor // retention has overtaken; what it left begins here
      continue
    }
    const covered = rows.filter(({ id }) => id <= start.newest)
    isDone = covered.length < PAGE
    for (const row of covered) {
      const fault = (await faultOf({ reader, node }, at, row)) ?? faultAgainst(wanted.get(row.id), row)
      if (fault !== null) return { ...report, fault }
      at = { deliveryId: row.id, link: row.link ?? '' }
      note(report, { deliveryId: row.id, receivedAt: row.receivedAt, link: at.link, ...named })
      if (row.seal !== null) report.erased += 1
      report.proven += wanted.get(row.id)?.length ?? 0
      wanted.delete(row.id)
    }
    onProgress?.(at.deliveryId - start.anchor.deliveryId, start.newest - start.anchor.deliveryId)
  }
  if (report.fault === null) settleUnseen(report, start, [...wanted.values()].flat())
  return report
}

/** Follows every chain of the log, until one is broken. The report is of all of them together. */
export async function verifyChains(
  reader: AuditReader,
  onProgress: (done: number, total: number) => void,
): Promise<AuditReport> {
  const [own = '', ...others] = await reader.auditNodes()
  const follow = (node: string) => verifyAudit(reader, { ...(node !== '' && { node }), onProgress })
  let report = await follow(own)
  for (const node of others) if (report.fault === null) report = together(report, await follow(node))
  return report
}

function together(one: AuditReport, other: AuditReport): AuditReport {
  const times = [one.first, other.first, one.last, other.last]
    .flatMap((row) => row ?? [])
    .toSorted((a, b) => a.receivedAt - b.receivedAt)
  return {
    rows: one.rows + other.rows,
    first: times[0] ?? null,
    last: times.at(-1) ?? null,
    erased: one.erased + other.erased,
    uncovered: one.uncovered + other.uncovered,
    isPruned: one.isPruned || other.isPruned,
    proven: one.proven + other.proven,
    fault: one.fault ?? other.fault,
  }
}

function note(report: AuditReport, row: Checkpoint): void {
  report.rows += 1
  report.first ??= row
  report.last = row
}

/** What can be wrong at the beginning of the chain: it is never behind the newest row, and nothing linked is before it. */
function faultBefore({ anchor, newest, before }: AuditStart): Fault | null {
  const stray = anchor.link === GENESIS ? before.firstLinked : before.first
  if (stray !== null) {
    const detail = `Delivery ${stray} does not belong there: the chain begins after delivery ${anchor.deliveryId}`
    return { deliveryId: stray, kind: 'displaced', detail }
  }
  if (newest >= anchor.deliveryId) return null
  const detail = `Every delivery from ${newest + 1} on was removed: the newest is always kept`
  return { deliveryId: newest + 1, kind: 'removed', detail }
}

async function faultOf(
  { reader, node }: { reader: AuditReader; node: string | undefined },
  before: Anchor,
  row: AuditRow,
): Promise<Fault | null> {
  const { id, seal } = row
  if (!follows(row, before.link, id)) return diagnose(before, row, (await reader.auditPage(id, SEARCHED, node)).rows)
  if (seal !== null && (row.salt !== null || !isErased(row))) {
    return changed(id, `What delivery ${id} said of a person was erased, and something else stands there now`)
  }
  if (seal === null && row.keptSha256 !== null && row.keptSha256 !== row.bodySha256) {
    return changed(id, `The body of delivery ${id} is not the one that was received`)
  }
  return null
}

/** Whether the row's link is what follows from the link before, had the row this id. */
function follows(row: AuditRow, before: string, id: number): boolean {
  const seal = row.seal ?? (row.salt === null ? null : sealOf(row, row.salt))
  return seal !== null && linkOf(before, id === row.id ? row : { ...row, id }, seal) === row.link
}

/** Why `row` does not follow; `later` are the rows after it. */
function diagnose(before: Anchor, row: AuditRow, later: AuditRow[]): Fault {
  const { id, link } = row
  const missing = before.deliveryId + 1
  if (id > missing) {
    const which = id - 1 === missing ? `Delivery ${missing} was` : `Deliveries ${missing} to ${id - 1} were`
    return { deliveryId: missing, kind: 'removed', detail: `${which} removed` }
  }
  const displaced = later.find((other) => follows(other, before.link, id))
  if (displaced !== undefined) {
    const detail = `Delivery ${id} is not the one that was here, which is ${displaced.id} now: one was inserted, or they were swapped`
    return { deliveryId: id, kind: 'displaced', detail }
  }
  if (link === null) {
    return { deliveryId: id, kind: 'displaced', detail: `Delivery ${id} has no link: the server did not write it` }
  }
  return changed(id, `Delivery ${id} was changed, is forged, or follows one that was given another link`)
}

const changed = (deliveryId: number, detail: string): Fault => ({ deliveryId, kind: 'changed', detail })

function faultAgainst(checkpoints: Checkpoint[] | undefined, { id, link }: AuditRow | { id: number; link: string }) {
  return checkpoints?.some((one) => one.link !== link) ? rewritten(id) : null
}

const rewritten = (deliveryId: number): Fault => {
  const detail = `Delivery ${deliveryId} is not the one of the checkpoint: the log was written anew, or is another's`
  return { deliveryId, kind: 'rewritten', detail }
}

/** Judges the checkpoints of deliveries that are not there. */
function settleUnseen(report: AuditReport, { anchor, newest }: AuditStart, unseen: Checkpoint[]): void {
  const [first] = unseen.toSorted((a, b) => a.deliveryId - b.deliveryId)
  if (first === undefined) return
  const beyond = unseen.find(({ deliveryId }) => deliveryId > newest)
  const atAnchor = unseen.filter(({ deliveryId }) => deliveryId === anchor.deliveryId)
  const impossible = unseen.find(
    ({ deliveryId }) => deliveryId <= newest && (deliveryId > anchor.deliveryId || anchor.link === GENESIS),
  )
  report.fault = faultAgainst(atAnchor, { id: anchor.deliveryId, link: anchor.link })
  if (impossible !== undefined) report.fault ??= rewritten(impossible.deliveryId)
  if (beyond !== undefined) {
    const detail = `The log ends at delivery ${newest}, and the checkpoint is of ${beyond.deliveryId}: the newest were cut off, or it was put back to an earlier state`
    report.fault ??= { deliveryId: newest + 1, kind: 'truncated', detail }
  }
  report.proven += atAnchor.length
  if (report.proven > 0) return
  const detail = `Retention has forgotten delivery ${first.deliveryId}, so its checkpoint proves nothing any more; keep newer ones`
  report.fault ??= { deliveryId: first.deliveryId, kind: 'forgotten', detail }
}

/** A report as it is shown. */
export const auditReportJson = ({ rows, first, last, erased, uncovered, isPruned, proven, fault }: AuditReport) => ({
  ok: fault === null,
  deliveries: rows,
  first: first && checkpointJson(first),
  last: last && checkpointJson(last),
  erased,
  before_the_chain: uncovered,
  pruned: isPruned,
  checkpoints_proven: proven,
  fault: fault && { delivery_id: fault.deliveryId, kind: fault.kind, detail: fault.detail },
})
