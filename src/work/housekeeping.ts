import type { Store } from '../store/store.ts'

const DAY_MS = 86_400_000
const PAUSE_MS = 3_600_000
/** A clock that runs ahead of the time that passed by more than this was put forward. */
const LEAP_MS = 3_600_000

/**
 * Forgets deliveries that are older than the retention, at the start and then every hour. After the clock was put
 * forward nothing is forgotten for a day: it may be wrong, and what is forgotten does not come back. Returns how to stop.
 */
export function startHousekeeping(deps: {
  store: Pick<Store, 'prune'>
  retentionDays: number
  onPruned: (count: number) => void
  onLeap: (ms: number) => void
  onError: (error: unknown) => void
}): () => void {
  const { store, retentionDays, onPruned, onLeap, onError } = deps
  let ahead = Date.now() - performance.now()
  let waitUntil = 0
  const tidy = () => {
    const [wall, running] = [Date.now(), performance.now()]
    const leap = wall - running - ahead
    ahead = wall - running
    if (leap > LEAP_MS) {
      waitUntil = running + DAY_MS
      onLeap(leap)
    }
    // Put back again, the clock is right: what it said in between was wrong.
    if (leap < -LEAP_MS) waitUntil = 0
    if (running < waitUntil) return
    store.prune(wall - retentionDays * DAY_MS).then((count) => count > 0 && onPruned(count), onError)
  }
  const timer = setInterval(tidy, PAUSE_MS)
  tidy()
  return () => clearInterval(timer)
}
