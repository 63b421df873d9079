import { useState } from 'react'

import { buttonClass, Button } from '../parts/button.tsx'
import { Dialog } from '../parts/dialog.tsx'
import { Field, Input } from '../parts/field.tsx'
import { Icon } from '../parts/icon.tsx'
import { Menu, MenuItem } from '../parts/menu.tsx'
import type { TicketSearch } from './search.ts'
import { BUILT_IN, isSame, useViews } from './views.ts'

/** Named filters: the name of what is shown is the list's heading. */
export function ViewMenu({ search, onSearch }: { search: TicketSearch; onSearch: (search: TicketSearch) => void }) {
  const { views, add, remove } = useViews()
  const [isSaving, setIsSaving] = useState(false)
  const [name, setName] = useState('')
  const all = [...BUILT_IN, ...views]
  const shown = all.find((view) => isSame(view.search, search))
  const own = views.find((view) => isSame(view.search, search))
  return (
    <>
      <Menu
        trigger={
          <button type="button" className={`${buttonClass('quiet')} -ml-3 text-ink! text-lg! font-semibold!`}>
            <span className="sr-only">View: </span>
            <span className="max-w-52 truncate">{shown?.name ?? 'Filtered tickets'}</span>
            <Icon name="down" className="size-3.5" />
          </button>
        }
      >
        {all.map((view) => (
          <MenuItem key={view.name} onSelect={() => onSearch(view.search)}>
            <span className="max-w-64 truncate">{view.name}</span>
            {view === shown && <Icon name="check" className="ml-auto size-3.5" />}
          </MenuItem>
        ))}
        {shown === undefined && <MenuItem onSelect={() => setIsSaving(true)}>Save this view…</MenuItem>}
        {own && <MenuItem onSelect={() => remove(own.name)}>Delete this view</MenuItem>}
      </Menu>
      {shown === undefined && (
        <Button
          look="quiet"
          size="icon"
          aria-label="Save this view"
          title="Save this view"
          onClick={() => setIsSaving(true)}
        >
          <Icon name="save" />
        </Button>
      )}
      <Dialog title="Save this view" open={isSaving} onClose={() => setIsSaving(false)}>
        <form
          className="flex flex-col gap-4"
          onSubmit={(event) => {
            event.preventDefault()
            if (name.trim() === '') return
            add({ name: name.trim(), search })
            setName('')
            setIsSaving(false)
          }}
        >
          <Field label="Name" hint="Kept in this browser.">
            {(wired) => (
              <Input {...wired} maxLength={60} value={name} onChange={(event) => setName(event.target.value)} />
            )}
          </Field>
          <Button type="submit" look="main" className="self-end">
            Save
          </Button>
        </form>
      </Dialog>
    </>
  )
}
