import { useQuery } from '@tanstack/react-query'

import { api, ApiError } from '../api/client.ts'

type Measured = Record<string, unknown>

/** How often triage was right, where the server measures that; else nothing is shown. */
export function Accuracy() {
  const found = useQuery({
    queryKey: ['triage', 'accuracy'],
    queryFn: async ({ signal }) => {
      try {
        return await api<Measured>('/api/triage/accuracy', { signal })
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return null
        throw error
      }
    },
    retry: false,
  })
  if (!found.data) return null
  const figures = figuresIn(found.data)
  if (figures.length === 0) return null
  return (
    <section aria-label="Triage" className="rounded-xl border border-line bg-pane p-4">
      <h2 className="mb-2 font-semibold">Triage</h2>
      <dl className="grid grid-cols-2 gap-x-6 gap-y-2 text-sm md:grid-cols-4">
        {figures.map(([name, value]) => (
          <div key={name}>
            <dt className="text-xs text-muted">{name.replaceAll('_', ' ')}</dt>
            <dd className="font-medium tabular-nums">{shown(value)}</dd>
          </div>
        ))}
      </dl>
    </section>
  )
}

/** `category.accuracy` for each number, two levels deep. */
function figuresIn(measured: Measured, path = ''): [string, number][] {
  return Object.entries(measured).flatMap(([name, value]): [string, number][] => {
    if (typeof value === 'number') return [[path + name, value]]
    if (typeof value !== 'object' || value === null || Array.isArray(value) || path !== '') return []
    return figuresIn(value as Measured, `${name} `)
  })
}

const shown = (value: number) =>
  value > 0 && value <= 1 && !Number.isInteger(value) ? `${(value * 100).toFixed(1)} %` : value.toLocaleString('en')
