import { useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'

import { api } from '../api/client.ts'
import { type Delivery, OUTCOMES, type Outcome } from '../api/operations.ts'
import { Button } from '../parts/button.tsx'
import { Dialog } from '../parts/dialog.tsx'
import { Field, Input, Select } from '../parts/field.tsx'
import type { DeliverySearch } from './search.ts'

const CHUNK = 50

type Progress = {
  replayed: number
  taken: number
  skipped: { id: number; reason: string }[]
  isDone: boolean
  fault: string | null
}
const NOTHING: Progress = { replayed: 0, taken: 0, skipped: [], isDone: false, fault: null }

type Replays = { replayed: Delivery[]; skipped: { id: number; reason: string }[]; next: number | null }

/** Plays all deliveries of an outcome again, oldest first, and says how far it is. */
export function ReplayMany({ search, onClose }: { search: DeliverySearch; onClose: () => void }) {
  const client = useQueryClient()
  const [outcome, setOutcome] = useState<Outcome>(search.outcome ?? 'rejected')
  const [source, setSource] = useState(search.source ?? '')
  const [unproved, setUnproved] = useState(false)
  const [progress, setProgress] = useState<Progress | null>(null)
  const isStopped = useRef(false)
  const isRunning = progress !== null && !progress.isDone

  async function run(): Promise<void> {
    isStopped.current = false
    let all = NOTHING
    setProgress(all)
    try {
      for (let after: number | null = 0; after !== null && !isStopped.current;) {
        const body = { outcome, ...(source && { source }), unproved, after, limit: CHUNK }
        const found: Replays = await api<Replays>('/api/deliveries/replay', { method: 'POST', body })
        all = {
          isDone: false,
          fault: null,
          replayed: all.replayed + found.replayed.length,
          taken: all.taken + found.replayed.filter((one) => one.outcome !== 'rejected').length,
          skipped: all.skipped.concat(found.skipped),
        }
        setProgress(all)
        after = found.next
      }
      setProgress({ ...all, isDone: true })
    } catch (error) {
      setProgress({ ...all, isDone: true, fault: error instanceof Error ? error.message : String(error) })
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
        <Field label="Source" hint="Empty for all of them">
          {(wired) => (
            <Input
              {...wired}
              value={source}
              disabled={isRunning}
              maxLength={60}
              onChange={(event) => setSource(event.target.value)}
            />
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
                {progress.isDone ? 'Done: ' : 'Replaying: '}
                {progress.replayed} replayed, {progress.taken} taken
                {progress.skipped.length > 0 && `, ${progress.skipped.length} skipped`}
              </p>
              {progress.fault && <p className="text-bad">{progress.fault}</p>}
              {progress.skipped[0] && <p className="text-muted">{progress.skipped[0].reason}</p>}
            </>
          )}
        </div>
        {isRunning && <progress className="w-full" aria-label="Replaying" />}
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
