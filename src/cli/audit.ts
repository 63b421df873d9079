import { readFileSync, statSync } from 'node:fs'

import { readConfig } from '../config.ts'
import { type Checkpoint, checkpointJson, checkpointLine, checkpointsIn } from '../core/audit.ts'
import { auditReportJson, type AuditReport, verifyAudit } from '../store/audit.ts'
import { openAudit } from '../store/sqlite-audit.ts'
import { StoreError } from '../store/sqlite-files.ts'
import type { AuditReader } from '../store/store.ts'
import { exitWith } from './fault.ts'
import { clearLine, drawLine, percent } from './progress.ts'
import { count, paint, print } from './table.ts'

type Options = { json?: boolean }

/** Follows the chain of the audit log. Exit code 1 when a link is broken, or a checkpoint is not in the log. */
export async function verify({ json = false, checkpoint: kept }: Options & { checkpoint?: string }): Promise<void> {
  await withAudit(async (reader) => {
    const checkpoints = kept === undefined ? [] : checkpointsOf(kept)
    const report = await verifyAudit(reader, {
      checkpoints,
      onProgress: (done, total) =>
        drawLine(`${percent(done, total)} %  ${done.toLocaleString('en-US')} of ${count(total, ...DELIVERIES)}`),
    })
    clearLine()
    if (json) print(JSON.stringify(auditReportJson(report), null, 2))
    else show(report, checkpoints.length > 0)
    if (report.fault !== null) process.exitCode = 1
  })
}

/** Prints the newest link. Exit code 1 when there is none. */
export async function checkpoint({ json = false }: Options): Promise<void> {
  await withAudit(async (reader) => {
    const newest = await reader.checkpoint()
    if (newest === null) throw new StoreError('No delivery is in the chain yet; there is nothing to keep')
    print(json ? JSON.stringify(checkpointJson(newest)) : checkpointLine(newest))
  })
}

async function withAudit(use: (reader: AuditReader) => Promise<void>): Promise<void> {
  try {
    const audit = openAudit(readConfig().dataDir)
    try {
      await use(audit)
    } finally {
      audit.close()
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
