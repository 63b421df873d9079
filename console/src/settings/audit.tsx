import { useState } from 'react'

import { apiInSteps } from '../api/operations.ts'
import { Button } from '../parts/button.tsx'
import { counted } from '../parts/counted.ts'
import { Icon } from '../parts/icon.tsx'
import { Section } from '../parts/section.tsx'

type Report = {
  ok: boolean
  deliveries: number
  erased: number
  before_the_chain: number
  pruned: boolean
  fault: { delivery_id: number; kind: string; detail: string } | null
}

/** Follows the chain of the audit log, and says whether it is whole. */
export function AuditVerify() {
  const [progress, setProgress] = useState<{ done: number; total: number } | null>(null)
  const [report, setReport] = useState<Report | null>(null)
  const [fault, setFault] = useState<string | null>(null)
  const verify = async () => {
    setReport(null)
    setFault(null)
    setProgress({ done: 0, total: 0 })
    try {
      const onProgress = (done: number, total: number) => setProgress({ done, total })
      setReport(await apiInSteps<Report>('/api/audit/verify', undefined, { onProgress }))
    } catch (error) {
      setFault(error instanceof Error ? error.message : String(error))
    }
    setProgress(null)
  }
  return (
    <Section
      title="Audit log"
      about="Every delivery is linked to the one before: a row that was changed, removed or put in breaks the chain."
      action={
        <Button onClick={() => void verify()} disabled={progress !== null}>
          {progress === null ? 'Verify' : 'Verifying…'}
        </Button>
      }
    >
      {progress && (
        <progress
          className="w-full"
          aria-label="Deliveries verified"
          max={Math.max(1, progress.total)}
          value={progress.done}
        />
      )}
      <div role="status" className="text-sm empty:-mt-3">
        {report?.ok && (
          <p className="flex items-center gap-2 text-good">
            <Icon name="check" />
            Whole: {counted(report.deliveries, 'delivery', 'deliveries')}
            {report.erased > 0 && `, of ${report.erased} what may be about a person was erased`}
          </p>
        )}
        {report && !report.ok && (
          <p className="flex items-center gap-2 text-bad">
            <Icon name="warn" />
            Broken at delivery {report.fault?.delivery_id}: {report.fault?.detail}
          </p>
        )}
        {report?.pruned && (
          <p className="text-muted">
            Retention took what was before; the chain is followed from the link that it left.
          </p>
        )}
        {fault && <p className="text-bad">{fault}</p>}
      </div>
    </Section>
  )
}
