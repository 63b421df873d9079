import { useNavigate } from '@tanstack/react-router'
import { Command, defaultFilter } from 'cmdk'
import { useState } from 'react'

import { PRIORITIES, STATUSES } from '../api/types.ts'
import { Dialog } from '../parts/dialog.tsx'
import type { TicketSearch } from './search.ts'
import { BUILT_IN, useViews } from './views.ts'

const OPEN = 'Open ticket #'
const SEARCH = 'Search for '

/** A number opens that ticket before all else; a search is what is left when nothing is called so. */
function rank(label: string, typed: string): number {
  if (label.startsWith(OPEN)) return 1
  if (label.startsWith(SEARCH)) return 0.0001
  return defaultFilter?.(label, typed) ?? 0
}

const PAGES = ['tickets', 'deliveries', 'sources', 'insights', 'settings', 'welcome'] as const

/** Everything that can be done here, by its name. */
export default function Palette({
  actions,
  onSearch,
  onHelp,
  onClose,
}: {
  actions: { label: string; act: () => void }[]
  onSearch: (search: TicketSearch) => void
  onHelp: () => void
  onClose: () => void
}) {
  const navigate = useNavigate()
  const { views } = useViews()
  const [typed, setTyped] = useState('')
  const number = /^#?(\d{1,15})$/.exec(typed.trim())?.[1]
  const run = (act: () => void) => () => {
    onClose()
    act()
  }
  return (
    <Dialog title="Commands" open bare onClose={onClose}>
      <Command label="Commands" loop filter={rank} className="flex flex-col">
        <Command.Input
          value={typed}
          onValueChange={setTyped}
          placeholder="Do, go to, or a ticket number"
          className="h-12 border-b border-line bg-transparent px-4 text-lg outline-none placeholder:text-muted"
        />
        <Command.List className="max-h-80 overflow-auto p-2 text-sm">
          <Command.Empty className="p-4 text-center text-muted">Nothing of that name</Command.Empty>
          {number && (
            <Item
              label={`${OPEN}${number}`}
              onSelect={run(
                () => void navigate({ to: '/tickets/$ticketId', params: { ticketId: number }, search: {} }),
              )}
            />
          )}
          {typed.trim() !== '' && (
            <Item label={`${SEARCH}${typed.trim()}`} onSelect={run(() => onSearch({ q: typed.trim() }))} />
          )}
          {actions.map(({ label, act }) => (
            <Item key={label} label={label} onSelect={run(act)} />
          ))}
          {[...BUILT_IN, ...views].map(({ name, search }) => (
            <Item key={name} label={`View: ${name}`} onSelect={run(() => onSearch(search))} />
          ))}
          {STATUSES.map((status) => (
            <Item key={status} label={`Status: ${status}`} onSelect={run(() => onSearch({ status }))} />
          ))}
          {PRIORITIES.map((priority) => (
            <Item key={priority} label={`Priority: ${priority}`} onSelect={run(() => onSearch({ priority }))} />
          ))}
          {PAGES.map((page) => (
            <Item
              key={page}
              label={page === 'welcome' ? 'Send a test ticket' : `Go to ${page}`}
              onSelect={run(() => void navigate({ to: `/${page}`, search: {} }))}
            />
          ))}
          <Item label="Keyboard shortcuts" onSelect={run(onHelp)} />
        </Command.List>
      </Command>
    </Dialog>
  )
}

const Item = ({ label, onSelect }: { label: string; onSelect: () => void }) => (
  <Command.Item
    value={label}
    onSelect={onSelect}
    className="flex h-9 cursor-pointer items-center rounded-md px-3 data-[selected=true]:bg-accent-soft data-[selected=true]:text-accent-strong"
  >
    <span className="truncate">{label}</span>
  </Command.Item>
)
