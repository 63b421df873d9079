/** The delivery that a mapping is tried on, as it stands in the address. */
export type MappingSearch = { delivery?: string }

export function readMappingSearch(search: Record<string, unknown>): MappingSearch {
  const { delivery } = search
  return typeof delivery === 'string' && /^\d{1,15}$/.test(delivery) ? { delivery } : {}
}
