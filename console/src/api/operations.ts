// What deliveries, sources, insights and keys look like to the console, and how they are asked for.
import { keepPreviousData, queryOptions } from '@tanstack/react-query'

import { api, ApiError, query } from './client.ts'

export const OUTCOMES = ['created', 'updated', 'commented', 'duplicate', 'ignored', 'rejected'] as const
export type Outcome = (typeof OUTCOMES)[number]

/** A delivery as lists and events have it. */
export type Delivery = {
  id: number
  received_at: string
  source: string
  address: string
  method: string
  path: string
  body_size: number
  body_sha256: string
  request_id: string
  platform: string | null
  idempotency_key: string | null
  outcome: Outcome
  status: number
  reason: string | null
  ticket_id: number | null
  duration_ms: number
  replay_of: number | null
}

export type WholeDelivery = Delivery & {
  headers: Record<string, unknown>
  body: string | null
  body_encoding: 'utf8' | 'base64'
  link: string | null
}

export type DeliveryPage = { deliveries: Delivery[]; next: string | null }

type PreviewedTicket = {
  title: string
  description: string
  category: string
  priority: string
  status: string
  user_id: string | null
  user_email: string | null
  ticket_metadata: Record<string, unknown>
}

type PreviewedEvent = {
  kind: string
  reason: string | null
  answer: unknown
  ticket: PreviewedTicket | null
  comment: { body: string } | null
  unmapped: string[]
  warnings: string[]
}

export type Examined = {
  payload: unknown
  preview: ({ platform: string; label: string } & (PreviewedEvent | { kind: 'batch'; events: PreviewedEvent[] })) | null
  refused: string | null
  /** Of each field, JSON pointers into the payload. */
  origins: Record<string, string[]>
}

export const deliveryQuery = (id: number) =>
  queryOptions({
    queryKey: ['delivery', id],
    queryFn: ({ signal }) => api<WholeDelivery>(`/api/deliveries/${id}`, { signal }),
    staleTime: Infinity, // what came is what came
  })

/** Null where there is nothing to read: its body was not kept, or it is none that can be read. */
export const examinedQuery = (id: number) =>
  queryOptions({
    queryKey: ['delivery', id, 'preview'],
    queryFn: async ({ signal }) => {
      try {
        return await api<Examined>(`/api/deliveries/${id}/preview`, { signal })
      } catch (error) {
        if (error instanceof ApiError && (error.status === 409 || error.status === 404)) return null
        throw error
      }
    },
  })

/** An expression a field. */
export type FieldMap = Record<string, string>

export type Source = {
  name: string
  platform: string | null
  auth: 'signature' | 'key' | 'network'
  scheme: string | null
  networks: string[]
  rate: number | null
  field_map: FieldMap
  id: string
  url: string
  secrets: { id: string; created_at: string; expires_at: string | null }[]
  created_at: string
  updated_at: string
  disabled_at: string | null
  /** When it was noticed that the source is quieter than it uses to be. */
  silent_since: string | null
}
export type NewSource = Source & { secret: string | null; admin_key?: string }

/** How often sources are asked for: one falls silent without an event, and the server looks every minute. */
const SILENCE_MS = 60_000

export const sourcesQuery = queryOptions({
  queryKey: ['sources'],
  refetchInterval: SILENCE_MS,
  queryFn: ({ signal }) => api<{ sources: Source[] }>('/api/sources', { signal }),
})

export const sourceQuery = (id: string) =>
  queryOptions({
    queryKey: ['sources', id],
    refetchInterval: SILENCE_MS,
    queryFn: ({ signal }) => api<Source>(`/api/sources/${encodeURIComponent(id)}`, { signal }),
  })

/** The newest delivery of a source. */
export const lastSeenQuery = (id: string) =>
  queryOptions({
    queryKey: ['deliveries', 'last', id],
    queryFn: async ({ signal }) => {
      const page = await api<DeliveryPage>(`/api/deliveries${query({ source: id, limit: 1 })}`, { signal })
      return page.deliveries[0] ?? null
    },
  })

export type PlatformFacts = { id: string; name: string; label: string; verification: string[] }

export const platformsQuery = queryOptions({
  queryKey: ['platforms'],
  queryFn: ({ signal }) => api<{ platforms: PlatformFacts[] }>('/api/platforms', { signal }),
  staleTime: Infinity,
})

type Compared = { name: string; now: number; before: number }
type Totals = { deliveries: number; refused: number; tickets: number; p50_ms: number | null; p95_ms: number | null }
export type Insights = {
  from: string
  to: string
  complete: boolean
  totals: Totals
  before: Totals
  series: {
    at: string
    outcomes: Record<Outcome, number>
    tickets: number
    p50_ms: number | null
    p95_ms: number | null
  }[]
  platforms: Compared[]
  categories: Compared[]
  sources: (Compared & { refused: number })[]
  week: { comparable: boolean; changes: (Compared & { what: string })[] }
}

export const insightsQuery = (days: number, step: 'hour' | 'day') =>
  queryOptions({
    queryKey: ['insights', days, step],
    queryFn: ({ signal }) => api<Insights>(`/api/insights${query({ days, step })}`, { signal }),
    // While it still counts it knows more each time.
    refetchInterval: ({ state }) => (state.data?.complete === false ? 1000 : 60_000),
    placeholderData: keepPreviousData,
  })

export type Key = {
  id: string
  name: string
  scopes: string[]
  rate: number | null
  created_at: string
  expires_at: string | null
  revoked_at: string | null
  last_used_at: string | null
}

export const keysQuery = queryOptions({
  queryKey: ['keys'],
  queryFn: ({ signal }) => api<{ keys: Key[] }>('/api/keys', { signal }),
})

/** Asks for what takes long, and hears how far it is. Throws ApiError as `api` does. */
export async function apiInSteps<T>(
  path: string,
  body: unknown,
  { onProgress, signal }: { onProgress: (done: number, total: number) => void; signal?: AbortSignal },
): Promise<T> {
  const response = await fetch(path, {
    method: 'POST',
    credentials: 'same-origin',
    headers: {
      accept: 'application/x-ndjson',
      'x-ticketflow-csrf': '1',
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(signal && { signal }),
  })
  if (!response.ok || response.body === null) {
    const refusal = (await response.json().catch(() => ({}))) as { detail?: string; errors?: ApiError['errors'] }
    throw new ApiError(response.status, refusal.detail ?? `The server answered ${response.status}`, refusal)
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { done, value = '' } = await reader.read()
    const lines = (rest + value).split('\n')
    rest = done ? '' : (lines.pop() ?? '')
    for (const line of lines) {
      if (line === '') continue
      const said = JSON.parse(line) as {
        progress?: { done: number; total: number }
        result?: T
        error?: { detail: string; errors?: ApiError['errors'] }
      }
      if (said.progress) onProgress(said.progress.done, said.progress.total)
      if (said.error) throw new ApiError(400, said.error.detail, said.error)
      if (said.result !== undefined) return said.result
    }
    if (done) throw new ApiError(0, 'The answer ended too early')
  }
}
