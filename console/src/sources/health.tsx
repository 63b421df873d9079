import { useQuery } from '@tanstack/react-query'

import { insightsQuery, lastSeenQuery } from '../api/operations.ts'
import { Badge } from '../parts/badge.tsx'

export function Refused({ count, refused }: { count: number; refused: number }) {
  if (count === 0) return <span className="text-muted">–</span>
  const share = Math.round((refused / count) * 100)
  if (refused === 0) return <span className="text-good">none refused</span>
  return <span className="text-bad">{share === 0 ? 'under 1' : share} % refused</span>
}

/** That a source is quieter than it uses to be at this hour. */
export function Silence({ since }: { since: string | null | undefined }) {
  if (!since) return null
  return (
    <span title={`Noticed ${new Date(since).toLocaleString()}`}>
      <Badge tone="warn">silent</Badge>
    </span>
  )
}

/** How a source has been doing: when it was last seen, and what it sent in the last day. */
export function useHealth(id: string) {
  const last = useQuery(lastSeenQuery(id))
  const day = useQuery(insightsQuery(1, 'hour'))
  const counts = day.data?.sources.find(({ name }) => name === id)
  return {
    isKnown: last.isSuccess,
    last: last.data ?? null,
    count: counts?.now ?? 0,
    before: counts?.before ?? 0,
    refused: counts?.refused ?? 0,
  }
}
