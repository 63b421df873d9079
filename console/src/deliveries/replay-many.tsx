import { useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'

import { api } from '../api/client.ts'
import { type Delivery, OUTCOMES, type Outcome } from '../api/operations.ts'
import { Button } from '../parts/button.tsx'
import { Dialog } from '../parts/dialog.tsx'
import { Field, Select } from '../parts/field.tsx'
import type { DeliverySearch } from './search.ts'

const CHUNK = 50

type Progress = {
  /** The last delivery that was looked at. */
  at: number
  replayed: number
  taken: number
  skipped: { id: number; reason: string }[]
  state: 'running' | 'stopped' | 'done'
  fault: string | null
}
const NOTHING: Progress = { at: 0, replayed: 0, taken: 0, skipped: [], state: 'running', fault: null }
const STATES = { running: 'Replaying', stopped: 'Stopped', done: 'Done' } as const

type Replays = { replayed: Delivery[]; skipped: { id: number; reason: string }[]; next: number | null }

/** Plays all deliveries of an outcome again, oldest first, and says how far it is: `newest` is the last one there is. */
export function ReplayMany({
  search,
  sources,
  newest,
  onClose,
}: {
  search: DeliverySearch
  sources: string[]
  newest: number
  onClose: () => void
}) {
  const client = useQueryClient()
  const [outcome, setOutcome] = useState<Outcome>(search.outcome ?? 'rejected')
  const [source, setSource] = useState(search.source ?? '')
  const [unproved, setUnproved] = useState(false)
  const [progress, setProgress] = useState<Progress | null>(null)
  const isStopped = useRef(false)
  const isRunning = progress?.state === 'running'

  async function run(): Promise<void> {
    isStopped.current = false
    let all = NOTHING
    setProgress(all)
    try {
      for (let after: number | null = 0; after !== null && !isStopped.current;) {
        const body = { outcome, ...(source && { source }), unproved, after, limit: CHUNK }
        const found: Replays = await api<Replays>('/api/deliveries/replay', { method: 'POST', body })
        all = {
          state: 'running',
          fault: null,
          at: found.next ?? newest,
          replayed: all.replayed + found.replayed.length,
          taken: all.taken + found.replayed.filter((one) => one.outcome !== 'rejected').length,
          skipped: all.skipped.concat(found.skipped),
        }
        setProgress(all)
        after = found.next
      }
      setProgress({ ...all, state: isStopped.current ? 'stopped' : 'done' })
    } catch (error) {
      setProgress({ ...all, state: 'stopped', fault: error instanceof Error ? error.message : String(error) })
    }
    void client.invalidateQueries({ queryKey: ['deliveries'] })
  }

  return (
    <Dialog
      title="Replay many"
      open
      onClose={() => {
        isStopped.current = true
        onClose()
      }}
    >
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault()
          void run()
        }}
      >
        <p className="text-sm text-muted">
          Each is worked once more, oldest first, by the mapping as it is now. A ticket is never made twice; refused
          ones that were mended already are left out.
        </p>
        <Field label="Outcome">
          {(wired) => (
            <Select
              {...wired}
              value={outcome}
              disabled={isRunning}
              onChange={(event) => setOutcome(event.target.value as Outcome)}
            >
              {OUTCOMES.map((one) => (
                <option key={one}>{one}</option>
              ))}
            </Select>
          )}
        </Field>
        <Field label="Source">
          {(wired) => (
            <Select {...wired} value={source} disabled={isRunning} onChange={(event) => setSource(event.target.value)}>
              <option value="">All sources</option>
              {sources.map((one) => (
                <option key={one}>{one}</option>
              ))}
            </Select>
          )}
        </Field>
        <label className="flex items-start gap-2 text-sm">
          <input
            type="checkbox"
            className="mt-1"
            checked={unproved}
            disabled={isRunning}
            onChange={(event) => setUnproved(event.target.checked)}
          />
          <span>
            Also those of which nobody proved who sent them
            <span className="block text-muted">Only if you know that they are genuine.</span>
          </span>
        </label>
        <div role="status" className="min-h-10 text-sm">
          {progress && (
            <>
              <p className="font-medium tabular-nums">
                {STATES[progress.state]}: {progress.replayed} replayed, {progress.taken} taken
                {progress.skipped.length > 0 && `, ${progress.skipped.length} skipped`}
              </p>
              {progress.fault && <p className="text-bad">{progress.fault}</p>}
              <ul className="text-muted">
                {reasonsOf(progress.skipped).map(([reason, count]) => (
                  <li key={reason}>
                    {count} skipped: {reason}
                  </li>
                ))}
              </ul>
            </>
          )}
        </div>
        {isRunning && (
          <progress className="w-full accent-accent" aria-label="Replaying" max={newest} value={progress.at} />
        )}
        <div className="flex justify-end gap-2">
          {isRunning ? (
            <Button onClick={() => (isStopped.current = true)}>Stop</Button>
          ) : (
            <Button type="submit" look="main">
              Replay
            </Button>
          )}
        </div>
      </form>
    </Dialog>
  )
}

/** Why some were left out, each reason once. */
function reasonsOf(skipped: Progress['skipped']): [string, number][] {
  const counts = new Map<string, number>()
  for (const { id, reason } of skipped) {
    const words = reason.replace(new RegExp(`\\bdelivery ${id}\\b`, 'i'), 'one')
    counts.set(words, (counts.get(words) ?? 0) + 1)
  }
  return [...counts].slice(0, 5)
}
