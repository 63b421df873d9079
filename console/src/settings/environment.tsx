import { useQuery } from '@tanstack/react-query'

import { api } from '../api/client.ts'
import { Failed, Loading } from '../parts/state.tsx'
import { Section } from '../parts/section.tsx'

type Setting = { name: string; value: string | number | null }

/** What the server was started with. */
export function Environment() {
  const found = useQuery({
    queryKey: ['settings'],
    queryFn: ({ signal }) => api<{ settings: Setting[] }>('/api/settings', { signal }),
  })
  return (
    <Section title="Retention and limits" about="Set by the environment of the server, and read when it starts.">
      {found.isPending && <Loading rows={6} height={28} />}
      {found.isError && <Failed error={found.error} retry={() => void found.refetch()} />}
      {found.data && (
        <dl className="text-sm">
          {found.data.settings.map(({ name, value }) => (
            <div
              key={name}
              className="flex flex-wrap items-baseline justify-between gap-x-4 border-t border-line py-1.5"
            >
              <dt className="font-mono text-xs text-muted">{name}</dt>
              <dd className="min-w-0 wrap-anywhere">{meaning(name, value)}</dd>
            </div>
          ))}
        </dl>
      )}
    </Section>
  )
}

function meaning(name: string, value: Setting['value']): string {
  if (value === null || value === '') return 'not set'
  if (name.endsWith('_DAYS')) return `${value} days`
  if (name.endsWith('_RATE')) return value === 0 ? 'no limit' : `${value} a minute`
  if (name.endsWith('_S')) return `${value} s`
  if (name === 'TICKETFLOW_BODY_LIMIT') return `${Math.round(Number(value) / 1024)} KB`
  return String(value)
}
