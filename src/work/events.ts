import type { Changes, Witness } from '../store/store.ts'

export type Bus = Witness & {
  /** Hears of each change until the returned function is called. */
  subscribe: (listener: (changes: Changes) => void) => () => void
}

/**
 * Carries the news of commits from whoever made them to whoever shows them, as numbers alone: what they stand for is
 * read by who wants it. Other nodes' commits are published here too, where the store hears of them.
 */
export function createBus(): Bus {
  const listeners = new Set<(changes: Changes) => void>()
  return {
    isHeard: () => listeners.size > 0,
    publish: (changes) => {
      for (const listener of listeners) listener(changes)
    },
    subscribe: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}
