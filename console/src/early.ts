// Comes first in main.tsx: what the first page shows is on its way while the rest of the scripts is evaluated.
import { queryClient } from './api/query.ts'
import { sessionQuery } from './api/session.ts'
import { ticketsQuery } from './tickets/list-query.ts'
import { readTicketSearch } from './tickets/search.ts'

const { pathname, search } = location
if (pathname !== '/sign-in') void queryClient.prefetchQuery(sessionQuery)
if (pathname === '/' || pathname.startsWith('/tickets')) {
  void queryClient.prefetchInfiniteQuery(
    ticketsQuery(readTicketSearch(Object.fromEntries(new URLSearchParams(search)))),
  )
}
