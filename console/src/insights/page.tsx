import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { type ReactNode, useMemo } from 'react'

import { type Insights, insightsQuery, OUTCOMES } from '../api/operations.ts'
import { milliseconds, sourceLabel } from '../deliveries/words.ts'
import { Icon } from '../parts/icon.tsx'
import { Page } from '../parts/page.tsx'
import { Empty, Failed, Loading } from '../parts/state.tsx'
import { Accuracy } from './accuracy.tsx'
import { Chart, type Line } from './chart.tsx'
import { type Span, SPANS } from './search.ts'

const route = getRouteApi('/shell/insights')

const SPAN_LABELS: Record<Span, string> = { '1': 'Day', '7': 'Week', '30': '30 days', '90': '90 days' }

export function InsightsPage() {
  const { days = '7' } = route.useSearch()
  const navigate = route.useNavigate()
  const found = useQuery(insightsQuery(Number(days), SPANS[days]))
  return (
    <Page
      title="Insights"
      actions={
        <fieldset className="flex rounded-md border border-line bg-pane">
          <legend className="sr-only">Time shown</legend>
          {(Object.keys(SPANS) as Span[]).map((span) => (
            <label
              key={span}
              className="cursor-pointer rounded-md px-1.5 py-1 sm:px-2.5 text-sm text-muted has-checked:bg-raised has-checked:font-medium has-checked:text-ink has-focus-visible:outline-2 has-focus-visible:outline-accent"
            >
              <input
                type="radio"
                name="days"
                className="sr-only"
                checked={days === span}
                onChange={() => void navigate({ search: { days: span }, replace: true })}
              />
              {SPAN_LABELS[span]}
            </label>
          ))}
        </fieldset>
      }
    >
      {found.isPending && <Loading />}
      {found.isError && <Failed error={found.error} retry={() => void found.refetch()} />}
      {found.data && <Shown insights={found.data} days={days} />}
    </Page>
  )
}

function Shown({ insights, days }: { insights: Insights; days: Span }) {
  const { totals, before, complete } = insights
  if (totals.deliveries + before.deliveries === 0 && complete) {
    return (
      <Empty icon="insights" title="Nothing came in this time">
        Volume, outcomes and latency are drawn here once there are deliveries.
      </Empty>
    )
  }
  return (
    <div className="mx-auto flex max-w-6xl flex-col gap-4 p-4 md:p-6">
      {!complete && (
        <p role="status" className="rounded-md bg-accent-soft px-3 py-1.5 text-sm text-accent-strong">
          Older deliveries are still being counted; the figures grow until that is done.
        </p>
      )}
      <dl className="grid grid-cols-2 gap-px overflow-hidden rounded-xl border border-line bg-line md:grid-cols-4">
        <Figure name="Deliveries" now={totals.deliveries} before={before.deliveries} />
        <Figure name="New tickets" now={totals.tickets} before={before.tickets} />
        <Figure name="Refused" now={totals.refused} before={before.refused} />
        <Figure name="Taken within (95 %)" now={totals.p95_ms} before={before.p95_ms} unit={milliseconds} />
      </dl>
      <Week insights={insights} />
      <Charts insights={insights} days={days} />
      <div className="grid items-start gap-4 lg:grid-cols-3">
        <Ranking title="Platforms" rows={insights.platforms} />
        <Ranking title="Categories" rows={insights.categories} />
        <Ranking
          title="Sources"
          rows={insights.sources}
          note={({ now, refused = 0 }) =>
            refused > 0 && now > 0 ? `${Math.ceil((refused / now) * 100)} % refused` : null
          }
        />
      </div>
      <Accuracy />
    </div>
  )
}

const whole = (value: number | null) => (value === null ? '–' : value.toLocaleString('en'))

function Figure({
  name,
  now,
  before,
  unit = whole,
}: {
  name: string
  now: number | null
  before: number | null
  unit?: (value: number | null) => string
}) {
  return (
    <div className="bg-pane px-4 py-3">
      <dt className="text-xs text-muted">{name}</dt>
      <dd className="text-2xl font-semibold tabular-nums">{unit(now)}</dd>
      <dd className="text-xs text-muted">
        {before === null || before === 0 ? 'nothing before' : `${unit(before)} before`}
      </dd>
    </div>
  )
}

const WORDS: Record<string, (name: string) => string> = {
  volume: () => 'All deliveries',
  outcome: (name) => `Deliveries that were ${name}`,
  platform: (name) => `From ${name}`,
  category: (name) => `Tickets about ${name}`,
  source: (name) => `From source ${name}`,
  latency: () => 'Time to take a delivery (95 %)',
}

/** What is unlike the week before, in words. */
function Week({ insights: { week } }: { insights: Insights }) {
  return (
    <section aria-label="What changed this week" className="rounded-xl border border-line bg-pane p-4">
      <h2 className="mb-2 font-semibold">What changed this week</h2>
      {!week.comparable && <p className="text-sm text-muted">There is no week before this one to compare it with.</p>}
      {week.comparable && week.changes.length === 0 && (
        <p className="text-sm text-muted">Nothing beyond what chance does: it was a week like the one before.</p>
      )}
      <ul className="grid gap-x-6 gap-y-1 text-sm md:grid-cols-2">
        {week.changes.map(({ what, name, now, before }) => {
          const unit = what === 'latency' ? milliseconds : whole
          const isUp = now > before
          return (
            <li key={what + name} className="flex items-center gap-2">
              <Icon name="down" className={`size-3.5 text-muted ${isUp ? 'rotate-180' : ''}`} />
              <span className="min-w-0 truncate">{WORDS[what]?.(name) ?? name}</span>
              <span className="ml-auto shrink-0 tabular-nums">
                <span className="sr-only">{isUp ? 'up' : 'down'} </span>
                {unit(before)} → <strong>{unit(now)}</strong>
              </span>
            </li>
          )
        })}
      </ul>
    </section>
  )
}

function Charts({ insights: { series }, days }: { insights: Insights; days: Span }) {
  const times = useMemo(() => series.map(({ at }) => Date.parse(at)), [series])
  const volume = useMemo((): Line[] => {
    const count = (wanted: readonly string[]) =>
      series.map(({ outcomes }) => OUTCOMES.reduce((sum, one) => sum + (wanted.includes(one) ? outcomes[one] : 0), 0))
    return [
      { label: 'all', colour: 'accent', values: count(OUTCOMES), isArea: true },
      { label: 'made tickets', colour: 'good', values: count(['created']) },
      { label: 'refused', colour: 'bad', values: count(['rejected']), dash: [4, 3] },
    ]
  }, [series])
  const latency = useMemo(
    (): Line[] => [
      { label: 'half', colour: 'good', values: series.map(({ p50_ms: p50 }) => p50) },
      { label: '95 %', colour: 'warn', values: series.map(({ p95_ms: p95 }) => p95), dash: [6, 3] },
    ],
    [series],
  )
  const step = SPANS[days]
  return (
    <div className="grid gap-4 lg:grid-cols-2">
      <Plot
        title={`Deliveries an ${step}`.replace('an day', 'a day')}
        times={times}
        lines={volume}
        unit={(value) => whole(Math.round(value))}
      />
      <Plot title="Taken within" times={times} lines={latency} unit={milliseconds} />
    </div>
  )
}

function Plot({
  title,
  times,
  lines,
  unit,
}: {
  title: string
  times: number[]
  lines: Line[]
  unit: (value: number) => string
}) {
  return (
    <section aria-label={title} className="min-w-0 rounded-xl border border-line bg-pane p-4">
      <h2 className="mb-2 font-semibold">{title}</h2>
      <Chart label={`${title}, over time; the table below says the same`} times={times} lines={lines} unit={unit} />
      <details className="mt-2 text-sm">
        <summary className="text-muted">As a table</summary>
        <Table times={times} lines={lines} unit={unit} caption={title} />
      </details>
    </section>
  )
}

const ROWS = 200

function Table({
  times,
  lines,
  unit,
  caption,
}: {
  times: number[]
  lines: Line[]
  unit: (value: number) => string
  caption: string
}) {
  const shown = times
    .map((time, index) => ({ time, index }))
    .filter(({ index }) => lines.some(({ values }) => (values[index] ?? 0) > 0))
    .slice(-ROWS)
    .toReversed()
  return (
    <div className="mt-2 max-h-72 overflow-auto" tabIndex={0} role="region" aria-label={`${caption}, as a table`}>
      <table className="w-full text-right tabular-nums">
        <caption className="sr-only">{caption}</caption>
        <thead className="sticky top-0 bg-pane">
          <tr>
            <th scope="col" className="text-left font-medium">
              Time
            </th>
            {lines.map(({ label }) => (
              <th key={label} scope="col" className="pl-3 font-medium">
                {label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map(({ time, index }) => (
            <tr key={time} className="border-t border-line">
              <th scope="row" className="text-left font-normal text-muted">
                {new Date(time).toLocaleString(undefined, { dateStyle: 'short', timeStyle: 'short' })}
              </th>
              {lines.map(({ label, values }) => {
                const value = values[index] ?? null
                return (
                  <td key={label} className="pl-3">
                    {value === null ? '–' : unit(value)}
                  </td>
                )
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

type Ranked = { name: string; now: number; before: number; refused?: number }

function Ranking({ title, rows, note }: { title: string; rows: Ranked[]; note?: (row: Ranked) => ReactNode }) {
  const most = Math.max(1, ...rows.map(({ now }) => now))
  const shown = rows.filter(({ now }) => now > 0).slice(0, 10)
  return (
    <section aria-label={title} className="min-w-0 rounded-xl border border-line bg-pane p-4">
      <h2 className="mb-2 font-semibold">{title}</h2>
      {shown.length === 0 && <p className="text-sm text-muted">Nothing in this time.</p>}
      <ul className="flex flex-col gap-2 text-sm">
        {shown.map((row) => (
          <li key={row.name}>
            <div className="flex items-baseline gap-2">
              <Name title={title} name={row.name} />
              <span className="ml-auto text-xs text-bad">{note?.(row)}</span>
              <span className="tabular-nums">{whole(row.now)}</span>
            </div>
            <div aria-hidden="true" className="mt-0.5 h-1.5 rounded bg-raised">
              <div className="h-full rounded bg-accent" style={{ width: `${Math.max(1, (row.now / most) * 100)}%` }} />
            </div>
          </li>
        ))}
      </ul>
    </section>
  )
}

/** A way from the figure to what it counts. */
function Name({ title, name }: { title: string; name: string }) {
  const look = 'min-w-0 truncate hover:underline'
  if (title === 'Categories') {
    return (
      <Link to="/tickets" search={{ category: name }} className={look}>
        {name}
      </Link>
    )
  }
  if (title === 'Sources' && name !== '(other)') {
    return (
      <Link to="/deliveries" search={{ source: name }} className={look}>
        {sourceLabel(name)}
      </Link>
    )
  }
  return <span className="min-w-0 truncate">{name}</span>
}
