import { OUTCOMES, type Outcome } from '../api/operations.ts'

/** What the list shows, as it stands in the address. */
export type DeliverySearch = { outcome?: Outcome; source?: string }

/** Anything may stand in an address: what is no filter is left out. */
export function readDeliverySearch(search: Record<string, unknown>): DeliverySearch {
  const outcome = OUTCOMES.find((one) => one === search['outcome'])
  const source = search['source']
  return {
    ...(outcome && { outcome }),
    ...(typeof source === 'string' && /^[\w:.-]{1,60}$/.test(source) && { source }),
  }
}
