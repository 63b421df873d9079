import { useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { useState } from 'react'

import { api } from '../api/client.ts'
import { apiInSteps, type FieldMap, type Source } from '../api/operations.ts'
import { Button } from '../parts/button.tsx'
import { counted } from '../parts/counted.ts'
import { Dialog } from '../parts/dialog.tsx'
import { say } from '../parts/toast.tsx'

type Change = { from: unknown; to: unknown }
type Simulation = {
  deliveries: number
  tickets: number
  different: number
  by_field: Record<string, number>
  differences: { ticket_id: number; changes: Record<string, Change>; kept: string[] }[]
  mended_count: number
  mended: { delivery_id: number; reason: string | null; title: string | null }[]
  broken_count: number
  broken: { delivery_id: number; ticket_id: number; reason: string }[]
  skipped: number
  changed?: number
}

const LAST = 10_000
const SHOWN = 30

type State = { step: 'run' | 'save' | 'apply'; done: number; total: number } | null

/** Runs the map over what the source has sent, shows the difference, and saves it: for what comes, or for what came too. */
export function Rewind({
  source,
  map,
  isChanged,
  isFaulty,
}: {
  source: Source
  map: FieldMap
  isChanged: boolean
  isFaulty: boolean
}) {
  const client = useQueryClient()
  const navigate = useNavigate()
  const [isOpen, setOpen] = useState(false)
  const [running, setRunning] = useState<State>(null)
  const [found, setFound] = useState<Simulation | null>(null)
  const [fault, setFault] = useState<string | null>(null)

  const mended = found?.mended_count ?? 0
  const replay = () => void navigate({ to: '/deliveries', search: { outcome: 'rejected', source: source.id } })

  async function run(step: 'run' | 'save' | 'apply'): Promise<void> {
    setFault(null)
    setRunning({ step, done: 0, total: 0 })
    const onProgress = (done: number, total: number) => setRunning({ step, done, total })
    const body = { field_map: map, last: LAST, show: SHOWN }
    try {
      if (step === 'run')
        setFound(await apiInSteps<Simulation>(`/api/sources/${source.id}/simulate`, body, { onProgress }))
      if (step === 'save') await api(`/api/sources/${source.id}`, { method: 'PATCH', body: { field_map: map } })
      if (step === 'apply') {
        const applied = await apiInSteps<Simulation>(`/api/sources/${source.id}/apply`, body, { onProgress })
        say({ text: `Saved; changed: ${counted(applied.changed ?? 0, 'ticket')}` })
      }
      if (step === 'save') {
        const isAll = mended === 0
        say({
          text: isAll ? 'Saved for what comes from now on' : 'Saved. What was refused can be replayed now',
          action: isAll ? undefined : { label: 'Show it', act: replay },
        })
      }
      if (step !== 'run') {
        setOpen(false)
        void client.invalidateQueries()
      }
    } catch (error) {
      setFault(error instanceof Error ? error.message : String(error))
    }
    setRunning(null)
  }

  const isSame = found === null || found.different === 0
  const open = () => {
    setOpen(true)
    setFound(null)
    void run('run')
  }
  return (
    <>
      <Button look="main" disabled={!isChanged || isFaulty} onClick={open}>
        Compare and save…
      </Button>
      <Dialog title="What the mapping would change" open={isOpen} onClose={() => setOpen(false)}>
        <div className="flex flex-col gap-4 text-sm">
          <div role="status" className="min-h-5">
            {running?.step === 'run' &&
              `Running over what ${source.name} has sent: ${running.done} of ${running.total}`}
            {running !== null && running.step !== 'run' && 'Saving…'}
          </div>
          {running !== null && running.total > 0 && (
            <progress aria-label="Deliveries worked" className="w-full" max={running.total} value={running.done} />
          )}
          {fault !== null && (
            <p role="alert" className="text-bad">
              {fault}
            </p>
          )}
          {found && <Difference found={found} />}
          <div className="flex flex-wrap justify-end gap-2">
            <Button look={isSame ? 'main' : 'plain'} disabled={running !== null} onClick={() => void run('save')}>
              Save for what comes
            </Button>
            <Button
              look={isSame ? 'plain' : 'main'}
              disabled={running !== null || isSame}
              onClick={() => void run('apply')}
            >
              Save, and change {counted(found?.different ?? 0, 'ticket')}
            </Button>
          </div>
        </div>
      </Dialog>
    </>
  )
}

function Difference({ found }: { found: Simulation }) {
  return (
    <>
      <p>
        Of {counted(found.deliveries, 'delivery', 'deliveries')} and {counted(found.tickets, 'ticket')}:{' '}
        <strong>{counted(found.different, 'ticket')}</strong> would be different,{' '}
        <strong>{counted(found.mended_count, 'refused delivery', 'refused deliveries')}</strong> would be taken,{' '}
        {found.broken_count} would be refused.
      </p>
      {found.differences.length > 0 && (
        <ul
          className="flex max-h-60 flex-col overflow-auto rounded-md border border-line"
          tabIndex={0}
          aria-label="Tickets that would be different"
        >
          {found.differences.map(({ ticket_id: id, changes, kept }) => (
            <li key={id} className="border-b border-line px-3 py-1.5">
              <Link
                to="/tickets/$ticketId"
                params={{ ticketId: String(id) }}
                search={{}}
                className="text-accent-strong underline"
              >
                Ticket {id}
              </Link>
              {Object.entries(changes).map(([field, { from, to }]) => (
                <span key={field} className="block text-xs wrap-anywhere">
                  <span className="text-muted">{field}: </span>
                  <del className="text-bad">{shown(from)}</del>{' '}
                  <ins className="text-good no-underline">{shown(to)}</ins>
                </span>
              ))}
              {kept.length > 0 && (
                <span className="block text-xs text-muted">A person set {kept.join(', ')}: that stays.</span>
              )}
            </li>
          ))}
        </ul>
      )}
      {found.mended.length > 0 && (
        <details>
          <summary>Refused then, taken with this mapping</summary>
          <ul className="mt-1 list-disc pl-5">
            {found.mended.map(({ delivery_id: id, title }) => (
              <li key={id}>
                Delivery {id}: {title ?? 'without a title'}
              </li>
            ))}
          </ul>
          <p className="mt-1 text-muted">Replayed once it is saved, they make their tickets.</p>
        </details>
      )}
      {found.broken.map(({ delivery_id: id, reason }) => (
        <p key={id} className="text-bad">
          Delivery {id}: {reason}
        </p>
      ))}
    </>
  )
}

const shown = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))
