import { useQuery } from '@tanstack/react-query'

import { api, ApiError } from '../api/client.ts'
import { Section } from '../parts/section.tsx'

/** How triage is set, where the server has it; else nothing is shown. */
export function TriageSettings() {
  const found = useQuery({
    queryKey: ['triage', 'settings'],
    queryFn: async ({ signal }) => {
      try {
        return await api<Record<string, unknown>>('/api/triage', { signal })
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return null
        throw error
      }
    },
    retry: false,
  })
  if (!found.data) return null
  const rows = Object.entries(found.data).filter(([, value]) => typeof value !== 'object')
  return (
    <Section title="Triage">
      <dl className="text-sm">
        {rows.map(([name, value]) => (
          <div key={name} className="flex justify-between gap-4 border-t border-line py-1.5">
            <dt className="text-muted">{name.replaceAll('_', ' ')}</dt>
            <dd className="wrap-anywhere">{String(value)}</dd>
          </div>
        ))}
      </dl>
    </Section>
  )
}
