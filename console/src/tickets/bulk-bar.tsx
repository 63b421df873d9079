import { PRIORITIES, type TicketChange } from '../api/types.ts'
import { useState } from 'react'

import { Button } from '../parts/button.tsx'
import { counted } from '../parts/counted.ts'
import { Dialog } from '../parts/dialog.tsx'
import { Field, Input } from '../parts/field.tsx'
import { Icon } from '../parts/icon.tsx'
import { Menu, MenuItem } from '../parts/menu.tsx'
import type { Progress } from './bulk.ts'
import { MergeDialog } from './merge-dialog.tsx'

type Words = { doing: string; done: string }

export const CLOSE: [TicketChange, Words] = [{ status: 'closed' }, { doing: 'Closing', done: 'closed' }]

/** What can be done with the chosen rows, and how far it is. Below them, so that none moves when it comes. */
export function BulkBar({
  count,
  loaded,
  progress,
  mayWrite,
  onApply,
  proposed,
  onMerge,
  onSelectAll,
  onClear,
}: {
  count: number
  loaded: number
  progress: Progress | null
  mayWrite: boolean
  onApply: (change: TicketChange, words: Words) => void
  /** Which ticket is proposed to merge them into. */
  proposed: number | ''
  onMerge: (into: number) => void
  onSelectAll: () => void
  onClear: () => void
}) {
  const [isNaming, setIsNaming] = useState(false)
  const [isMerging, setIsMerging] = useState(false)
  const [category, setCategory] = useState('')
  const isBusy = progress !== null || !mayWrite
  return (
    <div className="flex min-h-11 flex-wrap items-center gap-2 border-t border-line bg-accent-soft px-4 py-1.5 md:px-6">
      <p role="status" className="text-sm font-medium tabular-nums">
        {progress === null ? `${count} selected` : `${progress.what} ${progress.done} of ${progress.total}`}
      </p>
      {progress !== null && (
        <progress
          aria-label={progress.what}
          max={progress.total}
          value={progress.done}
          className="h-1.5 w-32 accent-accent"
        />
      )}
      {progress === null && (
        <>
          <Button size="sm" disabled={isBusy} onClick={() => onApply(...CLOSE)}>
            Close
          </Button>
          <Menu
            trigger={
              <Button size="sm" disabled={isBusy}>
                Priority <Icon name="down" className="size-3" />
              </Button>
            }
          >
            {PRIORITIES.map((priority) => (
              <MenuItem
                key={priority}
                onSelect={() => onApply({ priority }, { doing: 'Setting the priority', done: `now ${priority}` })}
              >
                {priority}
              </MenuItem>
            ))}
          </Menu>
          <Button size="sm" disabled={isBusy} onClick={() => setIsNaming(true)}>
            Category
          </Button>
          <Button size="sm" disabled={isBusy} onClick={() => setIsMerging(true)}>
            Merge
          </Button>
          {count < loaded && (
            <Button size="sm" look="quiet" onClick={onSelectAll}>
              Select all {loaded.toLocaleString('en')} loaded
            </Button>
          )}
          <Button size="sm" look="quiet" className="ml-auto" onClick={onClear}>
            Clear
          </Button>
        </>
      )}
      {isMerging && (
        <MergeDialog
          what={counted(count, 'ticket')}
          proposed={proposed}
          onMerge={onMerge}
          onClose={() => setIsMerging(false)}
        />
      )}
      <Dialog title={`Category of ${counted(count, 'ticket')}`} open={isNaming} onClose={() => setIsNaming(false)}>
        <form
          className="flex flex-col gap-4"
          onSubmit={(event) => {
            event.preventDefault()
            const name = category.trim().toLowerCase()
            if (name === '') return
            setIsNaming(false)
            onApply({ category: name }, { doing: 'Setting the category', done: `now in ${name}` })
          }}
        >
          <Field label="Category">
            {(wired) => (
              <Input
                {...wired}
                maxLength={200}
                value={category}
                onChange={(event) => setCategory(event.target.value)}
              />
            )}
          </Field>
          <Button type="submit" look="main" className="self-end">
            Set category
          </Button>
        </form>
      </Dialog>
    </div>
  )
}
