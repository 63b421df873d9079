import 'uplot/dist/uPlot.min.css'

import { useEffect, useRef, useState } from 'react'
import UPlot from 'uplot'

export type Line = {
  label: string
  colour: string
  values: (number | null)[]
  isArea?: boolean
  dash?: [number, number]
}

/** A colour of the theme as a canvas needs it: what light-dark() comes to just now. */
function resolved(name: string): string {
  const probe = document.createElement('span')
  probe.style.color = `var(--color-${name})`
  document.body.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}

/** Counts up whenever the theme changes. */
function useTheme(): number {
  const [count, setCount] = useState(0)
  useEffect(() => {
    const change = () => setCount((before) => before + 1)
    const dark = matchMedia('(prefers-color-scheme: dark)')
    dark.addEventListener('change', change)
    const observer = new MutationObserver(change)
    observer.observe(document.documentElement, { attributeFilter: ['data-theme'] })
    return () => {
      dark.removeEventListener('change', change)
      observer.disconnect()
    }
  }, [])
  return count
}

const HEIGHT = 200
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'short' })

/** Lines over time. What it shows is in a table beside it too: a canvas says nothing to who does not see it. */
export function Chart({
  label,
  times,
  lines,
  unit,
}: {
  label: string
  /** ms since the epoch */
  times: number[]
  lines: Line[]
  unit: (value: number) => string
}) {
  const box = useRef<HTMLDivElement>(null)
  const chart = useRef<UPlot | null>(null)
  const theme = useTheme()
  const names = lines.map(({ label: name, colour, values }) => `${name} ${colour} ${values.length}`).join()
  const latest = useRef({ times, lines, unit })
  latest.current = { times, lines, unit }

  useEffect(() => {
    const element = box.current
    if (element === null) return
    const grid = { stroke: resolved('line'), width: 1 }
    const axis = { stroke: resolved('muted'), grid, ticks: grid, font: '11px system-ui, sans-serif' }
    const { current } = latest
    const made = new UPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        legend: { show: true, live: true },
        cursor: { drag: { x: false, y: false }, points: { size: 6 } },
        scales: { y: { range: (_self, _min, max) => [0, Math.max(1, (max ?? 0) * 1.1)] } },
        axes: [axis, { ...axis, size: 56, values: (_self, ticks) => ticks.map((tick) => latest.current.unit(tick)) }],
        series: [
          { value: (_self, seconds) => (seconds === null ? '–' : moment.format(seconds * 1000)) },
          ...current.lines.map((line) => ({
            label: line.label,
            stroke: resolved(line.colour),
            width: 1.5,
            ...(line.isArea && { fill: resolved(`${line.colour}-soft`) }),
            ...(line.dash && { dash: line.dash }),
            points: { show: true, size: 4, filter: (self: UPlot, index: number) => lonely(self.data[index] ?? []) },
            spanGaps: true,
            value: (_self: UPlot, value: number | null) => (value === null ? '–' : latest.current.unit(value)),
          })),
        ],
      },
      dataOf(current),
      element,
    )
    chart.current = made
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }))
    observer.observe(element)
    return () => {
      observer.disconnect()
      made.destroy()
      chart.current = null
    }
  }, [theme, names])

  useEffect(() => {
    chart.current?.setData(dataOf({ times, lines }))
  }, [times, lines])

  return (
    <div
      ref={box}
      role="img"
      aria-label={label}
      className="min-h-68 min-w-0 text-sm [&_.u-label]:text-ink [&_.u-value]:text-ink"
    />
  )
}

/** Which values have no other beside them: a line alone would not show them, or not that they were measured. */
const lonely = (values: ArrayLike<number | null | undefined>): number[] =>
  Array.from(values).flatMap((value, at, all) =>
    value != null && all[at - 1] == null && all[at + 1] == null ? [at] : [],
  )

const dataOf = ({ times, lines }: { times: number[]; lines: Line[] }): UPlot.AlignedData => [
  times.map((time) => time / 1000),
  ...lines.map(({ values }) => values),
]
