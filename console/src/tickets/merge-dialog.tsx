import { useState } from 'react'

import { Button } from '../parts/button.tsx'
import { Dialog } from '../parts/dialog.tsx'
import { Field, Input } from '../parts/field.tsx'

/** Asks which ticket is to stand for others, says what that means, and merges when it is confirmed. */
export function MergeDialog({
  what,
  proposed,
  onMerge,
  onClose,
}: {
  /** What is merged: `#5`, or `3 tickets`. */
  what: string
  proposed: number | ''
  onMerge: (into: number) => void
  onClose: () => void
}) {
  const [into, setInto] = useState(String(proposed))
  const number = Number(into)
  const isNumber = Number.isSafeInteger(number) && number > 0
  return (
    <Dialog title={`Merge ${what}`} open onClose={onClose}>
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault()
          if (!isNumber) return
          onClose()
          onMerge(number)
        }}
      >
        <Field label="Into the ticket with the number">
          {(wired) => (
            <Input {...wired} inputMode="numeric" value={into} onChange={(event) => setInto(event.target.value)} />
          )}
        </Field>
        <p className="text-sm text-muted">
          What is merged is closed, and stays so; the other ticket stands for it. Whatever its sender still writes is
          kept on it, and told on the other’s timeline. It can be un-merged at any time, with the status it then has.
        </p>
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="main" disabled={!isNumber}>
            {isNumber ? `Merge into #${number}` : 'Merge'}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
