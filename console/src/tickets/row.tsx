import { memo } from 'react'

import { query } from '../api/client.ts'
import type { ListedTicket } from '../api/types.ts'
import { Badge, StatusBadge } from '../parts/badge.tsx'
import { Icon } from '../parts/icon.tsx'
import { PriorityMark } from '../parts/priority.tsx'
import { Time } from '../parts/time.tsx'
import type { TicketSearch } from './search.ts'

export const ROW = { wide: 44, narrow: 68 } as const

type RowProps = {
  ticket: ListedTicket
  search: TicketSearch
  isWide: boolean
  isCurrent: boolean
  isOpen: boolean
  isSelected: boolean
  error: string | undefined
  onSelect: (id: number, isRange: boolean) => void
  onFocus: (id: number) => void
}

/**
 * One line of the list; two where there is little room. The title is the link, and is where the keyboard stands: a plain
 * one, which the list follows (list.tsx), as the router's own costs more than all else in a row.
 */
export const Row = memo(function Row(props: RowProps) {
  const { ticket, search, isWide, isCurrent, isOpen, isSelected, error, onSelect, onFocus } = props
  const { platform } = ticket
  const tabIndex = isCurrent ? 0 : -1
  const link = (
    <a
      href={`/tickets/${ticket.id}${query(search)}`}
      data-ticket={ticket.id}
      tabIndex={tabIndex}
      onFocus={() => onFocus(ticket.id)}
      className="min-w-0 truncate font-medium outline-offset-4 after:absolute after:inset-0"
      {...(isOpen && { 'aria-current': 'true' as const })}
    >
      {ticket.title}
    </a>
  )
  const box = (
    <input
      type="checkbox"
      tabIndex={tabIndex}
      checked={isSelected}
      aria-label={`Select ticket ${ticket.id}`}
      onChange={() => {}}
      onClick={(event) => onSelect(ticket.id, event.shiftKey)}
      className="relative z-10 size-4 shrink-0"
    />
  )
  const fault = error !== undefined && (
    <span className="relative z-10 flex items-center gap-1 text-xs text-bad" title={error}>
      <Icon name="warn" className="size-3.5" />
      <span className="max-w-40 truncate">{error}</span>
    </span>
  )
  const state = ticket.merged_into ? <Badge>merged</Badge> : <StatusBadge status={ticket.status} />
  const look = isOpen ? 'bg-accent-soft' : isSelected ? 'bg-raised' : 'hover:bg-raised'
  if (!isWide) {
    return (
      <div className={`relative flex h-full gap-3 border-b border-line px-4 py-2.5 ${look}`}>
        <span className="flex h-5 items-center">{box}</span>
        <div className="flex min-w-0 flex-1 flex-col gap-1">
          <div className="flex items-center gap-2 leading-5">
            {link}
            <Time at={ticket.created_at} className="relative z-10 ml-auto text-xs text-muted" />
          </div>
          <div className="flex items-center gap-2 text-xs text-muted">
            <PriorityMark priority={ticket.priority} />
            {state}
            <span className="truncate">
              #{ticket.id}
              {platform && ` · ${platform}`} · {ticket.category}
            </span>
            {fault}
          </div>
        </div>
      </div>
    )
  }
  return (
    <div className={`relative flex h-full items-center gap-3 border-b border-line px-6 ${look}`}>
      {box}
      <PriorityMark priority={ticket.priority} />
      <span className="w-14 shrink-0 truncate text-sm text-muted tabular-nums">#{ticket.id}</span>
      <div className="flex min-w-0 flex-1 items-baseline gap-2">
        {link}
        <span className="min-w-0 flex-1 truncate text-sm text-muted">{ticket.excerpt}</span>
      </div>
      {fault}
      <span className="hidden w-28 shrink-0 truncate text-sm text-muted lg:block">{ticket.category}</span>
      <span className="hidden w-28 shrink-0 truncate text-sm text-muted xl:block">{platform}</span>
      <span className="w-20 shrink-0">{state}</span>
      <Time at={ticket.created_at} className="relative z-10 w-16 shrink-0 text-right text-sm text-muted" />
    </div>
  )
})
