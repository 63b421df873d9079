import { AppError } from '../core/errors.ts'
import { createGroupCommit } from './group-commit.ts'
import { createActivity } from './sqlite-activity.ts'
import {
  assertNotLost,
  filesInPlace,
  fileSizes,
  isDamage,
  lockDirectory,
  openStore,
  prepareDirectory,
  storeFault,
  storePath,
} from './sqlite-files.ts'
import { createKeys } from './sqlite-keys.ts'
import { createSourceStore } from './sqlite-sources.ts'
import { startReader } from './sqlite-thread.ts'
import { createWatch } from './sqlite-watch.ts'
import { createWriter, isDiskFault, type Settled, ticketsIn } from './sqlite-writer.ts'
import { assertWholeLog } from './sqlite-wal.ts'
import type { Notary } from './receipt-key.ts'
import type { Changes, Store, Submission, Witness } from './store.ts'

const PRUNE_CHUNK = 500
/** After a commit failed the disk counts as mended when it takes this much: the room that a few deliveries need. */
const PROBE_BYTES = 262_144
const DAMAGED = 'The store is damaged; nothing is taken until a backup was restored'
const GONE = 'The files of the store are no longer in the data directory; nothing is taken until they are back'

/**
 * The embedded store: one SQLite database in `directory`, written by group commit, with every commit synced to disk.
 * Throws StoreError when the directory cannot be used or belongs to another running server.
 */
export async function openSqliteStore(options: {
  directory: string
  /** How many submissions, and how many bytes of them, may wait for a commit before new ones are refused. */
  maxQueued: number
  maxQueuedBytes: number
  /** Signs for what was committed; without one there are no receipts. */
  notary?: Notary
  /** Hears of each group: how many, and how long the commit took or failed to be, in seconds. */
  onCommit?: (deliveries: number, seconds: number) => void
  /** Hears what each commit changed. */
  witness?: Witness
  /** The engine cannot go on (its reading thread died): what is acknowledged is safe, and only a new start helps. */
  onDeath: (error: Error) => void
}): Promise<Store> {
  const { directory, maxQueued, maxQueuedBytes, notary = () => [], onCommit = () => {}, witness, onDeath } = options
  prepareDirectory(directory)
  const unlock = lockDirectory(directory)
  try {
    const path = storePath(directory)
    assertNotLost(directory)
    assertWholeLog(path)
    const db = openStore(path)
    const writer = createWriter(db)
    const watch = createWatch(db)
    const isInPlace = filesInPlace([path, `${path}-wal`])
    isInPlace()
    let failing = false
    /** Set once, and for good: what is written to a damaged store may be lost, and what is read from it be wrong. */
    let damage: AppError | null = null
    const noteDamage = (error: unknown) => {
      if (isDamage(error)) damage ??= new AppError('unavailable', DAMAGED)
    }
    const reader = await startReader(directory, { onDeath, onFault: noteDamage })

    /** A disk that takes no commit is not the sender's fault: nothing was acknowledged, and it may come again. */
    const durably = async <T>(commit: () => T): Promise<T> => {
      if (damage !== null) throw damage
      try {
        const result = commit()
        failing = false
        // After the commit: nothing is acknowledged that went into a file which is no longer there.
        if (!isInPlace()) throw new AppError('unavailable', GONE)
        return result
      } catch (error) {
        noteDamage(error)
        if (!isDiskFault(error)) throw error
        failing = true
        throw new AppError('unavailable', `The store cannot commit: ${error instanceof Error ? error.message : ''}`)
      }
    }

    const commits = createGroupCommit<Submission, Settled>({
      commit: async (group) => {
        const from = performance.now()
        try {
          const settled = proven(await durably(() => writer.submit(group)), notary)
          if (witness?.isHeard()) witness.publish(changesOf(settled))
          return settled
        } finally {
          onCommit(group.length, (performance.now() - from) / 1000)
        }
      },
      weigh: weightOf,
      maxItems: maxQueued,
      maxBytes: maxQueuedBytes,
      maxGroup: 1000,
    })

    return {
      ticket: (id) => reader.ticket(id),
      heldTicket: (id) => reader.heldTicket(id),
      tickets: (query) => reader.tickets(query),
      timeline: (id) => reader.timeline(id),
      deliveries: (query) => reader.deliveries(query),
      delivery: (id) => reader.delivery(id),
      replayable: (query) => reader.replayable(query),
      rowsOf: (changes) => reader.rowsOf(changes),
      lastOf: (source, last) => reader.lastOf(source, last),
      wholeOf: (source, after, limit) => reader.wholeOf(source, after, limit),
      checkpoint: () => reader.checkpoint(),
      auditPage: (after, limit) => reader.auditPage(after, limit),
      auditStart: () => reader.auditStart(),
      submit: async (submission) => {
        const settled = await commits.add(submission)
        if ('error' in settled) throw new Error(settled.error)
        return settled.receipt
      },
      changeTicket: async (id, change, actor) => {
        const ticket = await durably(() => writer.changeTicket(id, change, { at: Date.now(), actor }))
        if (ticket !== null) witness?.publish({ deliveries: [], tickets: [id] })
        return ticket
      },
      remap: async (remaps, actor) => {
        const changed = await durably(() => writer.remap(remaps, { at: Date.now(), actor }))
        witness?.publish({ deliveries: [], tickets: remaps.map(({ ticketId }) => ticketId) })
        return changed
      },
      keyStore: createKeys(db, watch),
      sourceStore: createSourceStore(db, watch),
      prune: async (before) => {
        let pruned = 0
        for (;;) {
          const gone = await durably(() => writer.prune(before, PRUNE_CHUNK))
          pruned += gone
          if (gone < PRUNE_CHUNK) return pruned
          await new Promise((resolve) => setImmediate(resolve))
        }
      },
      probe: () => durably(() => writer.probe(Date.now(), failing ? PROBE_BYTES : 0)),
      figures: async () => ({ newestTicket: await reader.newestTicket(), bytes: fileSizes(directory) }),
      activity: createActivity(reader),
      queued: commits.queued,
      isCrowded: commits.isCrowded,
      close: async () => {
        await commits.drained()
        await reader.stop()
        db.close()
        unlock()
      },
    }
  } catch (error) {
    unlock()
    throw isDiskFault(error) ? storeFault(error, `Store ${storePath(directory)}`) : error
  }
}

/** Puts the notary's proofs into the receipts of what was committed. */
function proven(settled: Settled[], notary: Notary): Settled[] {
  const provable = settled.flatMap((one) =>
    'facts' in one && one.facts !== null ? { receipt: one.receipt, facts: one.facts } : [],
  )
  const proofs = notary(provable.map(({ facts }) => facts))
  provable.forEach(({ receipt }, index) => (receipt.proof = proofs[index] ?? null))
  return settled
}

function changesOf(settled: readonly Settled[]): Changes {
  const receipts = settled.flatMap((one) => ('receipt' in one ? one.receipt : []))
  return {
    deliveries: receipts.map(({ deliveryId }) => deliveryId),
    tickets: receipts.flatMap(({ ticketId, answer }) =>
      ticketId === null ? ticketsIn(answer).map(([, id]) => id) : ticketId,
    ),
  }
}

function weightOf({ delivery }: Submission): number {
  return delivery.bodySize * 2 + delivery.headers.length
}
