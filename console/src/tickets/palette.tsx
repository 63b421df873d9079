import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { Command, defaultFilter } from 'cmdk'
import { useEffect, useState } from 'react'

import { type Hit, searchQuery } from '../api/articles.ts'
import { PRIORITIES, STATUSES } from '../api/types.ts'
import { Dialog } from '../parts/dialog.tsx'
import type { TicketSearch } from './search.ts'
import { BUILT_IN, useViews } from './views.ts'

const OPEN = 'Open ticket #'
const SEARCH = 'Search for '
/** Before what the server found, in its order. */
const FOUND = 'found:'

/**
 * A number opens that ticket before all else; then what is called so, then what is about that. A search is what is left
 * when there is nothing of it.
 */
function rank(label: string, typed: string): number {
  if (label.startsWith(OPEN)) return 1
  if (label.startsWith(SEARCH)) return 0.0001
  if (label.startsWith(FOUND)) return 0.01 - Number(label.slice(FOUND.length)) / 10_000
  return defaultFilter?.(label, typed) ?? 0
}

const PAGES = ['tickets', 'deliveries', 'articles', 'sources', 'insights', 'settings', 'welcome'] as const

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
  const asked = useSettled(typed.trim())
  const found = useQuery(searchQuery(asked))
  const hits = typed.trim() === '' ? [] : (found.data?.hits ?? [])
  const number = /^#?(\d{1,15})$/.exec(typed.trim())?.[1]
  const open = ({ kind, id }: Hit) =>
    void (kind === 'ticket'
      ? navigate({ to: '/tickets/$ticketId', params: { ticketId: String(id) }, search: {} })
      : navigate({ to: '/articles/$articleId', params: { articleId: String(id) }, search: {} }))
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
          placeholder="Do, go to, find, or a ticket number"
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
          {hits.map((hit, index) => (
            <Item
              key={`${hit.kind}${hit.id}`}
              value={`${FOUND}${index}`}
              label={`${hit.kind === 'ticket' ? `#${hit.id}` : 'Article:'} ${hit.title}`}
              onSelect={run(() => open(hit))}
            />
          ))}
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

const Item = ({ label, value = label, onSelect }: { label: string; value?: string; onSelect: () => void }) => (
  <Command.Item
    value={value}
    onSelect={onSelect}
    className="flex h-9 cursor-pointer items-center rounded-md px-3 data-[selected=true]:bg-accent-soft data-[selected=true]:text-accent-strong"
  >
    <span className="truncate">{label}</span>
  </Command.Item>
)

const TYPING_MS = 150

/** What was typed, once nothing more has been for a moment. */
function useSettled(text: string): string {
  const [settled, setSettled] = useState(text)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), TYPING_MS)
    return () => clearTimeout(timer)
  }, [text])
  return settled
}
