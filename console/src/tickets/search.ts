import { PRIORITIES, type Priority, type Status, STATUSES } from '../api/types.ts'

/** What the list shows, as it stands in the address. */
export type TicketSearch = {
  status?: Status
  priority?: Priority
  category?: string
  platform?: string
  q?: string
}

const oneOf = <T extends string>(values: readonly T[], value: unknown) => values.find((one) => one === value)
const word = (value: unknown) => (typeof value === 'string' && value.trim() !== '' ? value.slice(0, 500) : undefined)

/** Anything may stand in an address: what is no filter is left out. */
export function readTicketSearch(search: Record<string, unknown>): TicketSearch {
  const status = oneOf(STATUSES, search['status'])
  const priority = oneOf(PRIORITIES, search['priority'])
  const [category, platform, q] = ['category', 'platform', 'q'].map((name) => word(search[name]))
  return {
    ...(status && { status }),
    ...(priority && { priority }),
    ...(category && { category }),
    ...(platform && { platform }),
    ...(q && { q }),
  }
}
