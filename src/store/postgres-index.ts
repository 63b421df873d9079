import { type Pool, query } from './postgres-connect.ts'

/** A search reads through what is not merged yet: at most so long a backlog of it. */
const MERGE_MS = 5_000

/**
 * Merges new words into the text index, beside the commits. PostgreSQL itself does so only once the list is full, in the
 * transaction of whoever filled it, and a sender waits for all of it.
 */
export function startIndexing(pool: Pool): { noteNew: () => void; close: () => void } {
  let timer: NodeJS.Timeout | null = null

  function merge(): void {
    timer = null
    // What could not be merged now is merged the next time.
    query(pool, `select gin_clean_pending_list('tickets_words')`).catch(() => {})
  }

  return {
    noteNew: () => {
      timer ??= setTimeout(merge, MERGE_MS).unref()
    },
    close: () => {
      if (timer !== null) clearTimeout(timer)
    },
  }
}
