export const SPANS = { '1': 'hour', '7': 'hour', '30': 'day', '90': 'day' } as const
export type Span = keyof typeof SPANS

/** How many days are shown, as it stands in the address. */
export type InsightSearch = { days?: Span }

export function readInsightSearch(search: Record<string, unknown>): InsightSearch {
  const days = (Object.keys(SPANS) as Span[]).find((span) => span === search['days'])
  return days === undefined ? {} : { days }
}
