import { type InfiniteData, useInfiniteQuery, useQueryClient } from '@tanstack/react-query'
import { useMemo, useRef, useState } from 'react'

import { api, query } from '../api/client.ts'
import { useLiveEvents } from '../api/events.ts'
import type { Delivery, DeliveryPage } from '../api/operations.ts'
import type { DeliverySearch } from './search.ts'

const PAGE = 100

type Pages = InfiniteData<DeliveryPage, string | null>

/** The list of deliveries, newest first, that grows at its head as they come, unless it is paused. */
export function useDeliveries(search: DeliverySearch) {
  const client = useQueryClient()
  const key = useMemo(
    () => ['deliveries', 'list', search.outcome ?? '', search.source ?? ''],
    [search.outcome, search.source],
  )
  const [isPaused, setPaused] = useState(false)
  const [held, setHeld] = useState(0)
  const fresh = useRef(new Set<number>())

  const found = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam, signal }) =>
      api<DeliveryPage>(`/api/deliveries${query({ ...search, cursor: pageParam, limit: PAGE })}`, { signal }),
    initialPageParam: null as string | null,
    getNextPageParam: ({ next }) => next,
    staleTime: 30_000,
  })

  const isWanted = (delivery: Delivery) =>
    (search.outcome === undefined || delivery.outcome === search.outcome) &&
    (search.source === undefined || delivery.source === search.source)

  useLiveEvents(({ kind, data }) => {
    if (kind === 'delivery') {
      const delivery = data as Delivery // the server's own row
      if (!isWanted(delivery)) return
      if (isPaused) return setHeld((count) => count + 1)
      fresh.current.add(delivery.id)
      client.setQueryData<Pages>(key, (pages) => withDelivery(pages, delivery))
      // A page that was asked for before it came would take it away again.
      if (client.isFetching({ queryKey: key }) > 0) void client.invalidateQueries({ queryKey: key })
    }
    const isGap = kind === 'more' || (kind as string) === 'ready'
    if (!isGap) return
    const { deliveries } = (data ?? {}) as { deliveries?: number | null }
    if (isPaused) setHeld((count) => count + (deliveries ?? 0))
    else void client.invalidateQueries({ queryKey: key })
  })

  const deliveries = useMemo(() => found.data?.pages.flatMap((page) => page.deliveries) ?? [], [found.data])
  return {
    found,
    deliveries,
    isPaused,
    /** How many came while it was paused. */
    held,
    pause: () => setPaused(true),
    resume: () => {
      setPaused(false)
      setHeld(0)
      void client.invalidateQueries({ queryKey: key })
    },
    isFresh: (id: number) => fresh.current.has(id),
  }
}

function withDelivery(pages: Pages | undefined, delivery: Delivery): Pages | undefined {
  const [first, ...others] = pages?.pages ?? []
  if (pages === undefined || first === undefined) return pages
  const without = first.deliveries.filter(({ id }) => id !== delivery.id)
  const at = without.findIndex(({ id }) => id < delivery.id)
  const place = at < 0 ? without.length : at
  return { ...pages, pages: [{ ...first, deliveries: without.toSpliced(place, 0, delivery) }, ...others] }
}
