import type { CronEntry } from '../core/jobs.ts'
import type { SessionStore } from '../store/key-store.ts'
import type { Store } from '../store/store.ts'

const DAY_MS = 86_400_000
const EVERY_MS = 3_600_000
/** A clock that runs ahead of the time that passed by more than this was put forward. */
const LEAP_MS = 3_600_000

/**
 * Forgets deliveries that are older than the retention, and sessions that have expired, every hour. After the clock was put forward nothing is
 * forgotten for a day: it may be wrong, and what is forgotten does not come back.
 */
export function housekeeping(deps: {
  store: Pick<Store, 'prune'> & { sessionStore: Pick<SessionStore, 'sweepSessions'> }
  retentionDays: number
  onPruned: (count: number) => void
  onLeap: (ms: number) => void
}): CronEntry {
  const { store, retentionDays, onPruned, onLeap } = deps
  let ahead = Date.now() - performance.now()
  let waitUntil = 0
  const run = async () => {
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
    await store.sessionStore.sweepSessions(wall)
    const count = await store.prune(wall - retentionDays * DAY_MS)
    if (count > 0) onPruned(count)
  }
  return { name: 'housekeeping', everyMs: EVERY_MS, timeLimitMs: EVERY_MS, run }
}
