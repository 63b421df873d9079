import { readFileSync, statSync } from 'node:fs'

import { readConfig } from '../config.ts'
import { type Checkpoint, checkpointJson, checkpointLine, checkpointsIn } from '../core/audit.ts'
import { auditReportJson, type AuditReport, verifyAudit } from '../store/audit.ts'
import { openAudit } from '../store/open.ts'
import { StoreError } from '../store/sqlite-files.ts'
import type { AuditReader } from '../store/store.ts'
import { exitWith } from './fault.ts'
import { clearLine, drawLine, percent } from './progress.ts'
import { count, paint, print } from './table.ts'

type Options = { json?: boolean }

/** Follows each chain of the audit log. Exit code 1 when a link is broken, or a checkpoint is not in the log. */
export async function verify({ json = false, checkpoint: kept }: Options & { checkpoint?: string }): Promise<void> {
  await withAudit(async (reader) => {
    const checkpoints = kept === undefined ? [] : checkpointsOf(kept)
    const nodes = await reader.auditNodes()
    const byNode = await checkpointsByNode(reader, nodes, checkpoints)
    const reports: [node: string, report: AuditReport][] = []
    for (const node of nodes) {
      const report = await verifyAudit(reader, {
        ...(node !== '' && { node }),
        checkpoints: byNode.get(node) ?? [],
        onProgress: (done, total) =>
          drawLine(`${percent(done, total)} %  ${done.toLocaleString('en-US')} of ${count(total, ...DELIVERIES)}`),
      })
      clearLine()
      reports.push([node, report])
    }
    const isNamed = nodes.some((node) => node !== '')
    if (json) print(JSON.stringify(isNamed ? nodesJson(reports) : reportJson(reports[0]?.[1]), null, 2))
    for (const [node, report] of json ? [] : reports) {
      if (isNamed) print(paint('bold', `Node ${node}`))
      show(report, checkpoints.length > 0)
    }
    if (reports.some(([, { fault }]) => fault !== null)) process.exitCode = 1
  })
}

/** Prints the newest link of each chain. Exit code 1 when there is none. */
export async function checkpoint({ json = false }: Options): Promise<void> {
  await withAudit(async (reader) => {
    const nodes = await reader.auditNodes()
    const found = await Promise.all(nodes.map((node) => reader.checkpoint(node)))
    const newest = found.flatMap((one) => one ?? [])
    if (newest.length === 0) throw new StoreError('No delivery is in the chain yet; there is nothing to keep')
    for (const one of newest) print(json ? JSON.stringify(checkpointJson(one)) : checkpointLine(one))
  })
}

/**
 * Which chain each checkpoint is held against: that of its node; where it names none, the one that has its delivery, or
 * the first, which then says that it is not there.
 */
async function checkpointsByNode(
  reader: AuditReader,
  nodes: readonly string[],
  checkpoints: readonly Checkpoint[],
): Promise<Map<string, Checkpoint[]>> {
  const byNode = new Map<string, Checkpoint[]>()
  for (const one of checkpoints) {
    const { node = (await nodeOf(reader, nodes, one)) ?? nodes[0] ?? '' } = one
    if (!nodes.includes(node)) {
      throw new StoreError(
        `A checkpoint is of node ${node}, which has no chain here: it was removed, or is another store's`,
      )
    }
    byNode.set(node, [...(byNode.get(node) ?? []), one])
  }
  return byNode
}

async function nodeOf(reader: AuditReader, nodes: readonly string[], { deliveryId }: Checkpoint) {
  for (const node of nodes.length > 1 ? nodes : []) {
    const { rows } = await reader.auditPage(deliveryId - 1, 1, node)
    if (rows[0]?.id === deliveryId) return node
  }
  return undefined
}

async function withAudit(use: (reader: AuditReader) => Promise<void>): Promise<void> {
  try {
    const audit = await openAudit(readConfig())
    try {
      await use(audit)
    } finally {
      await audit.close()
    }
  } catch (error) {
    clearLine()
    exitWith(error)
  }
}

/** Of a file, or of the text itself. */
function checkpointsOf(given: string): Checkpoint[] {
  const isFile = statSync(given, { throwIfNoEntry: false })?.isFile() ?? false
  const found = checkpointsIn(isFile ? readFileSync(given, 'utf8') : given)
  if (found !== null) return found
  const what = isFile ? `${given} holds something else` : 'It is neither that nor a file that is there'
  throw new StoreError(`A checkpoint is what \`ticketflow audit checkpoint\` prints. ${what}`)
}

function show(report: AuditReport, isProof: boolean): void {
  const { rows, first, last, fault, uncovered, erased, isPruned, proven } = report
  const deliveries = count(rows, ...DELIVERIES)
  const range = first === null || last === null ? '' : `, from ${place(first)} to ${place(last)}`
  if (fault === null) print(`${paint('green', 'Whole')}: ${deliveries}${range}`)
  else print(`${paint('red', `Broken at delivery ${fault.deliveryId}`)} (${fault.kind}): ${fault.detail}`)
  if (fault !== null) print(`Whole before that: ${deliveries}${range}`)
  if (isPruned) print('Retention took what was before; the chain is followed from the link that it left')
  if (uncovered > 0) print(`Not covered: ${count(uncovered, ...DELIVERIES)} from before there was a chain`)
  if (erased > 0) print(`Of ${count(erased, ...DELIVERIES)} what may be about a person was erased`)
  if (proven > 0) print(`The log contains ${count(proven, 'checkpoint')} of those given`)
  if (fault === null && !isProof) {
    print('Whether the newest were cut off shows a checkpoint kept elsewhere: ticketflow audit checkpoint')
  }
}

const DELIVERIES = ['delivery', 'deliveries'] as const

const place = ({ deliveryId, receivedAt }: Checkpoint) => `${deliveryId} (${new Date(receivedAt).toISOString()})`

const nodesJson = (reports: [node: string, report: AuditReport][]) => ({
  ok: reports.every(([, { fault }]) => fault === null),
  nodes: reports.map(([node, report]) => Object.assign({ node }, auditReportJson(report))),
})

const reportJson = (report: AuditReport | undefined) => report && auditReportJson(report)
