import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query'
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'

import { type LiveEvent, useLiveEvents } from '../api/events.ts'
import type { ListedTicket } from '../api/types.ts'
import { type Page, pageOf, type Pages, ticketsQuery } from './list-query.ts'
import type { TicketSearch } from './search.ts'

/** A search is asked anew for what arrives, as only the server can tell what matches; but not for each one. */
const ANEW_MS = 1_000

/**
 * The tickets that match, page by page, and kept true by the event stream. `isHeld` is asked before rows are put in above
 * those that somebody is reading: then they wait, counted in `waiting`, until `show` is called.
 */
export function useTicketList(search: TicketSearch, isHeld: () => boolean) {
  const client = useQueryClient()
  const options = useMemo(() => ticketsQuery(search), [search])
  const key = options.queryKey
  const found = useInfiniteQuery(options)
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
    // What came between the list and the first event is in neither.
    if (kind === 'more' || kind === 'ready') showSoon()
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
