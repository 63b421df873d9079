import { AppError } from '../core/errors.ts'
import { createGroupCommit } from './group-commit.ts'
import { lockDirectory, openStore, prepareDirectory, storePath } from './sqlite-files.ts'
import { startReader } from './sqlite-thread.ts'
import { createWriter, isDiskFault, type Settled } from './sqlite-writer.ts'
import type { Store, Submission } from './store.ts'

const PRUNE_CHUNK = 500

/**
 * The embedded store: one SQLite database in `directory`, written by group commit, with every commit synced to disk.
 * Throws StoreError when the directory cannot be used or belongs to another running server.
 */
export async function openSqliteStore(options: {
  directory: string
  /** How many submissions, and how many bytes of them, may wait for a commit before new ones are refused. */
  maxQueued: number
  maxQueuedBytes: number
}): Promise<Store> {
  const { directory, maxQueued, maxQueuedBytes } = options
  prepareDirectory(directory)
  const unlock = lockDirectory(directory)
  try {
    const db = openStore(storePath(directory))
    const writer = createWriter(db)
    const reader = await startReader(directory)

    const commits = createGroupCommit<Submission, Settled>({
      commit: (group) => durably(() => writer.submit(group)),
      weigh: weightOf,
      maxItems: maxQueued,
      maxBytes: maxQueuedBytes,
      maxGroup: 1000,
    })

    return {
      ticket: (id) => reader.ticket(id),
      tickets: (query) => reader.tickets(query),
      timeline: (id) => reader.timeline(id),
      deliveries: (query) => reader.deliveries(query),
      delivery: (id) => reader.delivery(id),
      submit: async (submission) => {
        const settled = await commits.add(submission)
        if ('error' in settled) throw new Error(settled.error)
        return settled.receipt
      },
      changeTicket: (id, change) => durably(() => writer.changeTicket(id, change, Date.now())),
      prune: async (before) => {
        let pruned = 0
        for (;;) {
          const gone = await durably(() => writer.prune(before, PRUNE_CHUNK))
          pruned += gone
          if (gone < PRUNE_CHUNK) return pruned
          await new Promise((resolve) => setImmediate(resolve))
        }
      },
      probe: () => durably(() => writer.probe(Date.now())),
      queued: commits.queued,
      close: async () => {
        await commits.drained()
        await reader.stop()
        db.close()
        unlock()
      },
    }
  } catch (error) {
    unlock()
    throw error
  }
}

/** A disk that does not take the commit is not the sender's fault: nothing was acknowledged, and it may come again. */
async function durably<T>(commit: () => T): Promise<T> {
  try {
    return commit()
  } catch (error) {
    if (!isDiskFault(error)) throw error
    throw new AppError('unavailable', `The store cannot commit: ${error instanceof Error ? error.message : ''}`)
  }
}

function weightOf({ delivery }: Submission): number {
  return delivery.bodySize * 2 + delivery.headers.length
}
