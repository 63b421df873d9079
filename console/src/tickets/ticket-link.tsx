import { Link } from '@tanstack/react-router'

import type { TicketSearch } from './search.ts'

/** To another ticket, beside the same list. */
export const TicketLink = ({ id, title, search }: { id: number; title?: string | null; search: TicketSearch }) => (
  <Link
    to="/tickets/$ticketId"
    params={{ ticketId: String(id) }}
    search={search}
    className="min-w-0 truncate py-0.5 text-accent underline underline-offset-2 hover:text-accent-strong"
  >
    #{id}
    {title && ` ${title}`}
  </Link>
)
