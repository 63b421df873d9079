import { useQuery } from '@tanstack/react-query'
import { type RefObject, useRef } from 'react'

import { api } from '../api/client.ts'
import { PRIORITIES, STATUSES, type ListedTicket } from '../api/types.ts'
import { Button } from '../parts/button.tsx'
import { Select } from '../parts/field.tsx'
import { SearchField } from '../parts/search-field.tsx'
import type { TicketSearch } from './search.ts'

/** Search and filters; what they are set to stands in the address. */
export function Toolbar({
  search,
  tickets,
  field,
  isNarrow,
  onSearch,
}: {
  search: TicketSearch
  isNarrow: boolean
  /** What is loaded: its categories are offered. */
  tickets: ListedTicket[]
  field: RefObject<HTMLInputElement | null>
  onSearch: (search: TicketSearch) => void
}) {
  const platforms = useQuery({
    queryKey: ['platforms'],
    queryFn: ({ signal }) => api<{ platforms: { name: string; label: string }[] }>('/api/platforms', { signal }),
    staleTime: Infinity,
  })
  const categories = useCategories(tickets, search.category)
  const names = platforms.data?.platforms ?? []
  const isOther = search.platform !== undefined && !names.some(({ name }) => name === search.platform)
  const set = (change: { [field in keyof TicketSearch]?: string | undefined }) => {
    const next = Object.entries({ ...search, ...change }).filter(([, value]) => value)
    onSearch(Object.fromEntries(next) as TicketSearch)
  }
  return (
    <div
      role="search"
      className={`flex flex-col gap-2 border-b border-line bg-pane px-4 py-2 md:px-6 ${isNarrow ? '' : 'lg:flex-row'}`}
    >
      <SearchField label="Search tickets" field={field} q={search.q ?? ''} onSearch={(q) => set({ q })} />
      <div
        className={`grid gap-2 ${isNarrow ? 'grid-cols-[repeat(4,auto)] [&_select]:pr-6! [&_select]:pl-2!' : 'grid-cols-2 sm:flex'}`}
      >
        <Filter label="Status" value={search.status} options={STATUSES} onChange={(status) => set({ status })} />
        <Filter
          label="Priority"
          value={search.priority}
          options={PRIORITIES}
          onChange={(priority) => set({ priority })}
        />
        <Filter
          label="Category"
          value={search.category}
          options={categories}
          onChange={(category) => set({ category })}
        />
        <Filter
          label="Platform"
          value={search.platform}
          options={[...(isOther && search.platform ? [search.platform] : []), ...names.map(({ name }) => name)]}
          onChange={(platform) => set({ platform })}
        />
        {Object.keys(search).length > 0 && (
          <Button look="quiet" className="justify-self-start" onClick={() => onSearch({})}>
            Clear
          </Button>
        )}
      </div>
    </div>
  )
}

function Filter({
  label,
  value,
  options,
  onChange,
}: {
  label: string
  value: string | undefined
  options: readonly string[]
  onChange: (value: string | undefined) => void
}) {
  return (
    <Select
      aria-label={label}
      value={value ?? ''}
      onChange={(event) => onChange(event.target.value || undefined)}
      className={`sm:max-w-44 ${value === undefined ? '[&>select]:border-line [&>select]:text-muted' : '[&>select]:border-accent [&>select]:font-medium'}`}
    >
      <option value="">{label}</option>
      {options.map((option) => (
        <option key={option}>{option}</option>
      ))}
    </Select>
  )
}

/** All that were seen since the page was opened: those of a filtered list alone would leave no way back. */
function useCategories(tickets: ListedTicket[], chosen: string | undefined): string[] {
  const seen = useRef(new Set<string>())
  for (const { category } of tickets.slice(0, 1_000)) seen.current.add(category)
  if (chosen !== undefined) seen.current.add(chosen)
  return [...seen.current].toSorted().slice(0, 200)
}
