import { useState } from 'react'

import { readTicketSearch, type TicketSearch } from './search.ts'

export type View = { name: string; search: TicketSearch }

const KEY = 'ticketflow.views'

/** What most queues begin with. */
export const BUILT_IN: readonly View[] = [
  { name: 'All tickets', search: {} },
  { name: 'New', search: { status: 'new' } },
  { name: 'Urgent', search: { priority: 'urgent' } },
  { name: 'Pending', search: { status: 'pending' } },
]

function stored(): View[] {
  try {
    const read: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]')
    if (!Array.isArray(read)) return []
    return read
      .filter((one): one is { name: string; search: Record<string, unknown> } => typeof one?.name === 'string')
      .map(({ name, search }) => ({ name, search: readTicketSearch(search ?? {}) }))
  } catch {
    return []
  }
}

/** Named filters, kept in this browser. */
export function useViews() {
  const [views, setViews] = useState(stored)
  const keep = (next: View[]) => {
    setViews(next)
    try {
      localStorage.setItem(KEY, JSON.stringify(next))
    } catch {
      // Storage may be forbidden: they last as long as the page.
    }
  }
  return {
    views,
    add: (view: View) => keep([...views.filter(({ name }) => name !== view.name), view]),
    remove: (name: string) => keep(views.filter((view) => view.name !== name)),
  }
}

export const isSame = (a: TicketSearch, b: TicketSearch): boolean =>
  (['status', 'priority', 'category', 'platform', 'q'] as const).every((field) => a[field] === b[field])
