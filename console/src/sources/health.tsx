import { useQuery, useQueryClient } from '@tanstack/react-query'

import { useLiveEvents } from '../api/events.ts'
import { type Delivery, insightsQuery, lastSeenQuery, type Source } from '../api/operations.ts'
import { Badge } from '../parts/badge.tsx'

export function Refused({ day }: { day: { count: number; refused: number } | null }) {
  if (day === null || day.count === 0) return <span className="text-muted">–</span>
  const { count, refused } = day
  const share = Math.round((refused / count) * 100)
  if (refused === 0) return <span className="text-good">none refused</span>
  return <span className="text-bad">{share === 0 ? 'under 1' : share} % refused</span>
}

/** That a source is quieter than it uses to be at this hour. */
export function Silence({ source, last }: { source: Source; last: Delivery | null }) {
  const { silent_since: since } = source
  // Heard since: the server, which looks now and then, will say so as well.
  const isHeard = since !== null && last !== null && last.received_at > since && last.outcome !== 'rejected'
  if (since === null || isHeard) return null
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
    isKnown: !last.isPending,
    last: last.data ?? null,
    /** Null while it is not known yet. */
    day: day.isSuccess ? { count: counts?.now ?? 0, before: counts?.before ?? 0, refused: counts?.refused ?? 0 } : null,
  }
}

/** Keeps the sources that are shown, and when each was last seen, true by the event stream. */
export function useSourceNews(shown: readonly Source[]): void {
  const client = useQueryClient()
  const askAgain = (queryKey: readonly unknown[]) => void client.invalidateQueries({ queryKey })
  useLiveEvents(({ kind, data }) => {
    if (kind === 'ticket') return
    const heard = kind === 'delivery' ? shown.find(({ id }) => id === (data as Delivery).source) : undefined
    if (kind === 'delivery' && heard === undefined) return
    askAgain(heard === undefined ? ['deliveries', 'last'] : lastSeenQuery(heard.id).queryKey)
    // A delivery changes nothing of its source, unless it ends a silence.
    if (heard?.silent_since !== null) askAgain(['sources'])
  })
}
