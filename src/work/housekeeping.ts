import type { Store } from '../store/store.ts'

const DAY_MS = 86_400_000
const PAUSE_MS = 3_600_000

/** Forgets deliveries that are older than the retention, at the start and then every hour. Returns how to stop. */
export function startHousekeeping(deps: {
  store: Pick<Store, 'prune'>
  retentionDays: number
  onPruned: (count: number) => void
  onError: (error: unknown) => void
}): () => void {
  const { store, retentionDays, onPruned, onError } = deps
  const tidy = () => {
    store.prune(Date.now() - retentionDays * DAY_MS).then((count) => count > 0 && onPruned(count), onError)
  }
  const timer = setInterval(tidy, PAUSE_MS)
  tidy()
  return () => clearInterval(timer)
}
