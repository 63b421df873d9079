import { useSyncExternalStore } from 'react'

const units = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
] as const

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'narrow' })
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long' })

// One clock for all that is shown, so that a list of a thousand has one timer.
let now = Date.now()
const tickers = new Set<() => void>()
setInterval(() => {
  now = Date.now()
  for (const tick of tickers) tick()
}, 15_000)
const subscribe = (tick: () => void) => {
  tickers.add(tick)
  return () => void tickers.delete(tick)
}

function ago(at: number, today: number): string {
  const seconds = (at - today) / 1_000
  if (Math.abs(seconds) < 45) return 'now'
  for (const [unit, size] of units) {
    if (Math.abs(seconds) >= size) return relative.format(Math.round(seconds / size), unit)
  }
  return relative.format(Math.round(seconds / 60), 'minute')
}

/** Relative, with the exact time on hover. */
export function Time({ at, className = '' }: { at: string; className?: string }) {
  const today = useSyncExternalStore(subscribe, () => now)
  const time = new Date(at)
  return (
    <time dateTime={at} title={exact.format(time)} className={`whitespace-nowrap tabular-nums ${className}`}>
      {ago(time.getTime(), Math.max(today, Date.now() - 15_000))}
    </time>
  )
}
