import { useVirtualizer } from '@tanstack/react-virtual'
import { type MouseEvent, type RefObject, useCallback, useEffect, useImperativeHandle, useMemo, useRef } from 'react'

import { Button } from '../parts/button.tsx'
import { counted } from '../parts/counted.ts'
import type { TicketList } from './list-data.ts'
import { Row, ROW } from './row.tsx'
import type { TicketSearch } from './search.ts'

export type ListHandle = {
  /** Brings a row into view and the focus onto it. */
  focus: (id: number) => void
  toTop: () => void
  isAtTop: () => boolean
}

/** Only what is in view is in the page, however long the list is; the row that has the focus always is. */
export function List({
  handle,
  list,
  search,
  isWide,
  current,
  open,
  selected,
  errors,
  onSelect,
  onFocus,
  onOpen,
}: {
  handle: RefObject<ListHandle | null>
  list: TicketList
  search: TicketSearch
  isWide: boolean
  /** Where the keyboard stands. */
  current: number | null
  open: number | null
  selected: ReadonlySet<number>
  errors: ReadonlyMap<number, string>
  onSelect: (id: number, isRange: boolean) => void
  onFocus: (id: number) => void
  onOpen: (id: number) => void
}) {
  const { tickets, found, waiting, show } = list
  const scroller = useRef<HTMLDivElement>(null)
  const indexOf = useMemo(() => new Map(tickets.map(({ id }, index) => [id, index])), [tickets])
  const currentIndex = current === null ? 0 : (indexOf.get(current) ?? 0)
  const height = isWide ? ROW.wide : ROW.narrow
  const rows = useVirtualizer({
    count: tickets.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    getItemKey: (index) => tickets[index]?.id ?? index,
    overscan: 12,
    rangeExtractor: useCallback(
      ({ startIndex, endIndex, overscan, count }) => {
        const from = Math.max(0, startIndex - overscan)
        const to = Math.min(count - 1, endIndex + overscan)
        const shown = Array.from({ length: Math.max(0, to - from + 1) }, (_, offset) => from + offset)
        if (currentIndex >= 0 && currentIndex < from) shown.unshift(currentIndex)
        if (currentIndex > to && currentIndex < count) shown.push(currentIndex)
        return shown
      },
      [currentIndex],
    ),
  })
  useEffect(() => rows.measure(), [rows, height])

  const items = rows.getVirtualItems()
  const lastShown = rows.range?.endIndex ?? 0
  const { hasNextPage, isFetchingNextPage, fetchNextPage, isFetchNextPageError } = found
  const isNearEnd = lastShown >= tickets.length - 60
  useEffect(() => {
    if (isNearEnd && hasNextPage && !isFetchingNextPage && !isFetchNextPageError) void fetchNextPage()
  }, [isNearEnd, hasNextPage, isFetchingNextPage, isFetchNextPageError, fetchNextPage])

  useImperativeHandle(
    handle,
    () => ({
      focus: (id) => {
        const index = indexOf.get(id)
        if (index === undefined) return
        rows.scrollToIndex(index, { align: 'auto' })
        // It may only be drawn with the next frame.
        const take = () => scroller.current?.querySelector<HTMLElement>(`[data-ticket="${id}"]`)
        const link = take()
        if (link) link.focus({ preventScroll: true })
        else requestAnimationFrame(() => requestAnimationFrame(() => take()?.focus({ preventScroll: true })))
      },
      toTop: () => rows.scrollToIndex(0),
      isAtTop: () => (scroller.current?.scrollTop ?? 0) < height,
    }),
    [indexOf, rows, height],
  )

  const showWaiting = async () => {
    rows.scrollToIndex(0)
    await show().catch(() => {}) // they wait on, and the next event counts them anew
  }

  /** A plain click on a title opens it here; with Ctrl, Shift or the middle button it is the browser's, as any link. */
  const follow = (event: MouseEvent<HTMLElement>) => {
    const link = (event.target as HTMLElement).closest<HTMLElement>('a[data-ticket]') // only elements are clicked
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey
    if (link === null || !isPlain) return
    event.preventDefault()
    onOpen(Number(link.dataset['ticket']))
  }

  return (
    <div className="relative flex min-h-0 flex-1 flex-col">
      {waiting > 0 && (
        <div className="pointer-events-none absolute inset-x-0 top-2 z-20 flex justify-center">
          <Button look="main" size="sm" className="pointer-events-auto shadow-pop" onClick={() => void showWaiting()}>
            {counted(waiting, 'new ticket')}
          </Button>
        </div>
      )}
      <div ref={scroller} className="min-h-0 flex-1 overflow-auto bg-pane [contain:strict]" onClick={follow}>
        <ul aria-label="Tickets" className="relative" style={{ height: rows.getTotalSize() }}>
          {items.map((item) => {
            const ticket = tickets[item.index]
            if (ticket === undefined) return null
            return (
              <li
                key={item.key}
                aria-posinset={item.index + 1}
                aria-setsize={hasNextPage ? -1 : tickets.length}
                className="absolute inset-x-0 top-0"
                style={{ height: item.size, transform: `translateY(${item.start}px)` }}
              >
                <Row
                  ticket={ticket}
                  search={search}
                  isWide={isWide}
                  isCurrent={item.index === currentIndex}
                  isOpen={ticket.id === open}
                  isSelected={selected.has(ticket.id)}
                  error={errors.get(ticket.id)}
                  onSelect={onSelect}
                  onFocus={onFocus}
                />
              </li>
            )
          })}
        </ul>
        {isFetchNextPageError && (
          <p role="alert" className="flex items-center justify-center gap-3 p-4 text-sm text-bad">
            The next tickets could not be loaded.
            <Button size="sm" onClick={() => void fetchNextPage()}>
              Try again
            </Button>
          </p>
        )}
      </div>
    </div>
  )
}
