import { Link, useNavigate } from '@tanstack/react-router'
import { useVirtualizer } from '@tanstack/react-virtual'
import { type KeyboardEvent, useEffect, useLayoutEffect, useRef } from 'react'

import type { Delivery } from '../api/operations.ts'
import { Badge } from '../parts/badge.tsx'
import { useShortcuts } from '../parts/shortcuts.ts'
import { Time } from '../parts/time.tsx'
import type { DeliverySearch } from './search.ts'
import type { useDeliveries } from './stream.ts'
import { bytes, milliseconds, OUTCOME_TONES, sourceLabel } from './words.ts'

export const ROW = 56

/** As many as there are, of which only those are drawn that are seen. j and k go from one to the next, in the list arrows too. */
export function DeliveryList({
  stream,
  search,
  chosen,
}: {
  stream: ReturnType<typeof useDeliveries>
  search: DeliverySearch
  chosen: number
}) {
  const { deliveries, found, isFresh } = stream
  const navigate = useNavigate()
  const box = useRef<HTMLDivElement>(null)
  const rows = useVirtualizer({
    count: deliveries.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW,
    overscan: 12,
    getItemKey: (index) => deliveries[index]?.id ?? index,
  })
  const shown = rows.getVirtualItems()
  const last = shown.at(-1)?.index ?? 0
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = found
  useEffect(() => {
    if (last >= deliveries.length - 30 && hasNextPage && !isFetchingNextPage) void fetchNextPage()
  }, [last, deliveries.length, hasNextPage, isFetchingNextPage, fetchNextPage])

  // Who has scrolled down goes on seeing what he was looking at while new ones come in above.
  const head = useRef<number | undefined>(deliveries[0]?.id)
  useLayoutEffect(() => {
    const before = head.current
    head.current = deliveries[0]?.id
    const element = box.current
    if (element === null || before === undefined || element.scrollTop < ROW) return
    const grown = deliveries.findIndex(({ id }) => id === before)
    if (grown > 0) element.scrollTop += grown * ROW
  }, [deliveries])

  // Keys may come faster than the page that they lead to.
  const standing = useRef(chosen)
  useEffect(() => {
    standing.current = chosen
  }, [chosen])
  const step = (by: number) => {
    const index = Math.max(0, deliveries.findIndex(({ id }) => id === standing.current) + by)
    const next = deliveries[index]
    if (next === undefined) return
    standing.current = next.id
    rows.scrollToIndex(index)
    void navigate({ to: '/deliveries/$deliveryId', params: { deliveryId: String(next.id) }, search, replace: true })
  }
  useShortcuts({
    j: () => step(1),
    k: () => step(-1),
    Escape: () => Number.isFinite(chosen) && void navigate({ to: '/deliveries', search }),
  })
  const onKeyDown = (event: KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (by === undefined || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    step(by)
  }

  return (
    <div
      ref={box}
      className="min-h-0 flex-1 overflow-auto bg-pane"
      onKeyDown={onKeyDown}
      data-deliveries={deliveries.length}
    >
      <ul className="relative" style={{ height: rows.getTotalSize() }}>
        {shown.map(({ index, start, key }) => {
          const delivery = deliveries[index]
          return (
            delivery && (
              <li key={key} className="absolute inset-x-0" style={{ height: ROW, transform: `translateY(${start}px)` }}>
                <Row
                  delivery={delivery}
                  search={search}
                  isChosen={delivery.id === chosen}
                  isFresh={isFresh(delivery.id)}
                />
              </li>
            )
          )
        })}
      </ul>
    </div>
  )
}

function Row({
  delivery,
  search,
  isChosen,
  isFresh,
}: {
  delivery: Delivery
  search: DeliverySearch
  isChosen: boolean
  isFresh: boolean
}) {
  const { id, outcome, status, source, platform, reason, ticket_id: ticketId, received_at: at } = delivery
  const about = reason ?? (ticketId === null ? delivery.path : `Ticket ${ticketId}`)
  return (
    <Link
      to="/deliveries/$deliveryId"
      params={{ deliveryId: String(id) }}
      search={search}
      aria-current={isChosen ? 'true' : undefined}
      data-delivery={id}
      data-outcome={outcome}
      className={`grid h-full grid-cols-[4.75rem_minmax(0,1fr)_auto] items-center gap-x-2 sm:grid-cols-[5.5rem_minmax(0,1fr)_auto] sm:gap-x-3 border-b border-line px-4 -outline-offset-2 hover:bg-raised aria-[current]:bg-accent-soft ${isFresh ? 'arrive' : ''}`}
    >
      <span className="flex items-center">
        <Badge tone={OUTCOME_TONES[outcome]}>{outcome}</Badge>
      </span>
      <span className="min-w-0">
        <span className="block truncate">{about}</span>
        <span className="block truncate text-xs text-muted">
          {sourceLabel(source)}
          {platform !== null && ` · ${platform}`} · {status} · {bytes(delivery.body_size)} ·{' '}
          {milliseconds(delivery.duration_ms)}
        </span>
      </span>
      <span className="flex flex-col items-end text-xs text-muted">
        <Time at={at} />
        <span className="tabular-nums">#{id}</span>
      </span>
    </Link>
  )
}
