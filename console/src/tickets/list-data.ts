import { type InfiniteData, keepPreviousData, useInfiniteQuery, useQueryClient } from '@tanstack/react-query'
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'

import { api, query } from '../api/client.ts'
import { type LiveEvent, useLiveEvents } from '../api/events.ts'
import { listed, type ListedTicket, type TicketPage } from '../api/types.ts'
import type { TicketSearch } from './search.ts'

type Page = { tickets: ListedTicket[]; next: string | null }
type Pages = InfiniteData<Page, string | null>

const PAGE = 100
/** A search is asked anew for what arrives, as only the server can tell what matches; but not for each one. */
const ANEW_MS = 1_000

const listKey = (search: TicketSearch) => ['tickets', search] as const

async function pageOf(search: TicketSearch, cursor: string | null, signal?: AbortSignal): Promise<Page> {
  const path = `/api/tickets${query({ ...search, cursor, limit: PAGE })}`
  const { tickets, next } = await api<TicketPage>(path, signal && { signal })
  // Descriptions of a hundred thousand tickets are nothing to keep in a browser.
  return { tickets: tickets.map(listed), next }
}

/**
 * The tickets that match, page by page, and kept true by the event stream. `isHeld` is asked before rows are put in above
 * those that somebody is reading: then they wait, counted in `waiting`, until `show` is called.
 */
export function useTicketList(search: TicketSearch, isHeld: () => boolean) {
  const client = useQueryClient()
  const key = useMemo(() => listKey(search), [search])
  const found = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam, signal }) => pageOf(search, pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next,
    placeholderData: keepPreviousData,
    // Events keep it true; to compare or fetch hundreds of pages again would be what a long list cannot bear.
    structuralSharing: false,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
    refetchOnMount: false,
    staleTime: Infinity,
    // Nobody keeps a list true that is not shown.
    gcTime: 0,
  })
  const waiting = useRef(new Set<number>())
  const [waitingCount, setWaitingCount] = useState(0)
  const anew = useRef<ReturnType<typeof setTimeout> | null>(null)

  const change = useCallback(
    (edit: (pages: Page[]) => Page[]) =>
      client.setQueryData<Pages>(key, (data) => data && { ...data, pages: edit(data.pages) }),
    [client, key],
  )

  const show = useCallback(async () => {
    waiting.current.clear()
    setWaitingCount(0)
    const page = await pageOf(search, null)
    client.setQueryData<Pages>(key, (data) => data && joined(data, page))
  }, [client, key, search])

  useEffect(() => {
    waiting.current.clear()
    setWaitingCount(0)
    return () => {
      if (anew.current !== null) clearTimeout(anew.current)
      anew.current = null
    }
  }, [key])

  /** What a search or a burst brought: asked of the server, once for all of them. */
  const showSoon = useCallback(() => {
    anew.current ??= setTimeout(() => {
      anew.current = null
      if (!isHeld()) void show().catch(() => {}) // the next event tries again
    }, ANEW_MS)
  }, [isHeld, show])

  const take = useCallback(
    (ticket: ListedTicket) => {
      const newest = client.getQueryData<Pages>(key)?.pages[0]?.tickets[0]?.id ?? 0
      if (ticket.id <= newest) return void change((pages) => replaced(pages, ticket, matches(ticket, search)))
      if (!matches(ticket, search)) return
      if (isHeld()) {
        waiting.current.add(ticket.id)
        setWaitingCount(waiting.current.size)
      } else if (search.q !== undefined) showSoon()
      else change(([first, ...rest]) => (first ? [{ ...first, tickets: [ticket, ...first.tickets] }, ...rest] : []))
    },
    [client, key, search, change, isHeld, showSoon],
  )

  useLiveEvents(({ kind, data }: LiveEvent) => {
    if (kind === 'ticket') take(data as ListedTicket) // the server's own row
    if (kind === 'more') showSoon()
  })

  const tickets = useMemo(() => found.data?.pages.flatMap((page) => page.tickets) ?? [], [found.data])
  return { found, tickets, take, show, waiting: waitingCount }
}

export type TicketList = ReturnType<typeof useTicketList>

/** As far as it can be told here: words are the server's to find. */
const matches = (ticket: ListedTicket, search: TicketSearch): boolean =>
  (search.status === undefined || ticket.status === search.status) &&
  (search.priority === undefined || ticket.priority === search.priority) &&
  (search.category === undefined || ticket.category === search.category.toLowerCase()) &&
  (search.platform === undefined || ticket.platform === search.platform)

function replaced(pages: Page[], ticket: ListedTicket, isShown: boolean): Page[] {
  return pages.map((page) => {
    const at = page.tickets.findIndex(({ id }) => id === ticket.id)
    if (at < 0) return page
    const now = { ...page.tickets[at], ...ticket }
    return { ...page, tickets: page.tickets.toSpliced(at, 1, ...(isShown ? [now] : [])) }
  })
}

/** The first page anew; what was loaded below it stays, unless so much came that there would be a gap. */
function joined({ pages, pageParams }: Pages, fresh: Page): Pages {
  const oldest = fresh.tickets.at(-1)?.id ?? 0
  const newest = pages[0]?.tickets[0]?.id ?? 0
  if (fresh.next === null || oldest > newest) return { pages: [fresh], pageParams: [null] }
  const rest = pages.map((page) => ({ ...page, tickets: page.tickets.filter(({ id }) => id < oldest) }))
  const [first, ...others] = rest
  const joint = { tickets: [...fresh.tickets, ...(first?.tickets ?? [])], next: first?.next ?? fresh.next }
  return { pages: [joint, ...others], pageParams }
}
