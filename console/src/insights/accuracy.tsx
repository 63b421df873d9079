import { useQuery } from '@tanstack/react-query'

import { api, ApiError } from '../api/client.ts'

type Row = {
  field: 'category' | 'priority'
  value: string
  week: string
  tickets: number
  right: number
  sure: number
  sure_right: number
}

/** How often triage was right about what people then set, by week; nothing where nobody has said anything yet. */
export function Accuracy() {
  const found = useQuery({
    queryKey: ['triage', 'accuracy'],
    queryFn: async ({ signal }) => {
      try {
        return (await api<{ accuracy: Row[] }>('/api/triage/accuracy', { signal })).accuracy
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return []
        throw error
      }
    },
    retry: false,
  })
  if (!found.data || found.data.length === 0) return null
  const weeks = [...byWeek(found.data).values()].toSorted((a, b) => b.week.localeCompare(a.week))
  return (
    <section aria-label="Triage" className="rounded-xl border border-line bg-pane p-4">
      <h2 className="font-semibold">Triage</h2>
      <p className="mb-2 text-sm text-muted">Of the tickets of which a person said what they are.</p>
      <div className="overflow-x-auto" tabIndex={0} role="group" aria-label="Triage by week">
        <table className="w-full text-sm tabular-nums">
          <thead className="text-left text-xs text-muted">
            <tr>
              <th className="py-1 pr-4 font-medium">Week of</th>
              <th className="py-1 pr-4 font-medium">Field</th>
              <th className="py-1 pr-4 text-right font-medium">Tickets</th>
              <th className="py-1 pr-4 text-right font-medium">Right</th>
              <th className="py-1 pr-4 text-right font-medium">Sure</th>
              <th className="py-1 text-right font-medium">Right, of these</th>
            </tr>
          </thead>
          <tbody>
            {weeks.map(({ week, field, tickets, right, sure, sure_right: sureRight }) => (
              <tr key={`${week} ${field}`} className="border-t border-line">
                <td className="py-1 pr-4">{week}</td>
                <td className="py-1 pr-4">{field}</td>
                <td className="py-1 pr-4 text-right">{tickets.toLocaleString('en')}</td>
                <td className="py-1 pr-4 text-right">{share(right, tickets)}</td>
                <td className="py-1 pr-4 text-right">{share(sure, tickets)}</td>
                <td className="py-1 text-right">{share(sureRight, sure)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}

function byWeek(rows: readonly Row[]): Map<string, Row> {
  const weeks = new Map<string, Row>()
  for (const row of rows) {
    const key = `${row.week} ${row.field}`
    const sum = weeks.get(key) ?? { ...row, tickets: 0, right: 0, sure: 0, sure_right: 0 }
    weeks.set(key, {
      ...sum,
      tickets: sum.tickets + row.tickets,
      right: sum.right + row.right,
      sure: sum.sure + row.sure,
      sure_right: sum.sure_right + row.sure_right,
    })
  }
  return weeks
}

const share = (part: number, whole: number) => (whole === 0 ? '–' : `${Math.round((part / whole) * 100)} %`)
