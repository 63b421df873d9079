import { type InfiniteData, infiniteQueryOptions, keepPreviousData } from '@tanstack/react-query'

import { api, query } from '../api/client.ts'
import { listed, type ListedTicket, type TicketPage } from '../api/types.ts'
import type { TicketSearch } from './search.ts'

export type Page = { tickets: ListedTicket[]; next: string | null }
export type Pages = InfiniteData<Page, string | null>

const PAGE = 100

export async function pageOf(search: TicketSearch, cursor: string | null, signal?: AbortSignal): Promise<Page> {
  const path = `/api/tickets${query({ ...search, cursor, limit: PAGE })}`
  const { tickets, next } = await api<TicketPage>(path, signal && { signal })
  // Descriptions of a hundred thousand tickets are nothing to keep in a browser.
  return { tickets: tickets.map(listed), next }
}

/** The tickets that match, page by page. The router asks for the first while the page itself is still on its way. */
export const ticketsQuery = (search: TicketSearch) =>
  infiniteQueryOptions({
    queryKey: ['tickets', search] as const,
    queryFn: ({ pageParam, signal }) => pageOf(search, pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last: Page) => last.next,
    placeholderData: keepPreviousData,
    // Events keep it true; to compare or fetch hundreds of pages again would be what a long list cannot bear.
    structuralSharing: false,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
    // Nobody keeps a list true that is not shown: it is asked for anew when it is again, but for what the router just did.
    staleTime: 1_000,
    gcTime: 5_000,
  })
