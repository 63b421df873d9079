import type { DatabaseSync } from 'node:sqlite'

import { integer } from './sqlite-files.ts'

/** How soon what another process changed is known here. */
const WATCH_MS = 1000

/** Tells of changes to keys and sources: at once where this process makes them, within a second where another does. */
export function createWatch(db: DatabaseSync) {
  const listeners = new Set<() => void>()
  return {
    changed: () => listeners.forEach((listener) => listener()),
    subscribe: (listener: () => void): (() => void) => {
      listeners.add(listener)
      // Counts the commits of other connections: those of the command line.
      let version = integer(db, 'pragma data_version')
      const timer = setInterval(() => {
        const now = integer(db, 'pragma data_version')
        if (now !== version) listener()
        version = now
      }, WATCH_MS)
      timer.unref()
      return () => {
        listeners.delete(listener)
        clearInterval(timer)
      }
    },
  }
}

export type Watch = ReturnType<typeof createWatch>
