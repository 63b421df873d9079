import { AppError } from '../core/errors.ts'
import type { NewDecision } from '../core/decision.ts'
import type { Jobs, JobsHooks } from '../core/jobs.ts'
import { createGroupCommit } from './group-commit.ts'
import { createActivity } from './activity.ts'
import { createArticles } from './sqlite-articles.ts'
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
import { createJobRows } from './sqlite-job-rows.ts'
import { createSqliteJobs } from './sqlite-jobs.ts'
import { createKeys } from './sqlite-keys.ts'
import { createReceiptKeys } from './sqlite-receipt-keys.ts'
import { createRhythms } from './sqlite-rhythms.ts'
import { createSqliteSessions } from './sqlite-sessions.ts'
import { createSourceStore } from './sqlite-sources.ts'
import { startReader } from './sqlite-thread.ts'
import { createWatch } from './sqlite-watch.ts'
import { type Change, createWriter, isDiskFault, type Written } from './sqlite-writer.ts'
import { assertWholeLog } from './sqlite-wal.ts'
import type { MergeResult } from './merges.ts'
import type { Notary } from './receipt-key.ts'
import type { Store, Submission, Witness } from './store.ts'
import { changesOf, proven, receiptOf, type Settled, weightOf } from './submissions.ts'

/** The store and, on the same files, its jobs. */
export type SqliteStore = Store & { createJobs: (hooks: JobsHooks) => Jobs }

const PRUNE_CHUNK = 500
/** What a waiting change counts as of the bytes that may wait. */
const CHANGE_BYTES = 4096

/** What became of a decision, or what is wrong with it alone. */
type Decided = { result: 'decided' | 'repeated' | 'gone' } | { error: unknown }

/** Decisions of so long are one commit. */
const DECISIONS_MS = 50

const isSettled = (written: Written): written is Settled => !('value' in written)

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
}): Promise<SqliteStore> {
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
    const jobRows = createJobRows(db)
    const onWork = new Set<() => void>()
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

    /** What is read says nothing about whether the disk takes a commit. */
    const readably = async <T>(read: () => T): Promise<T> => {
      if (damage !== null) throw damage
      try {
        return read()
      } catch (error) {
        noteDamage(error)
        if (!isDiskFault(error)) throw error
        throw new AppError('unavailable', `The store cannot be read: ${error instanceof Error ? error.message : ''}`)
      }
    }

    const told = (result: MergeResult | null) => {
      witness?.publish({ deliveries: [], tickets: result?.changed ?? [] })
      return result?.ticket ?? null
    }

    const commits = createGroupCommit<Submission | Change, Written>({
      commit: async (group) => {
        const from = performance.now()
        const deliveries = group.filter(({ kind }) => kind !== 'change').length
        try {
          const written = await durably(() => writer.commit(group))
          const settled = proven(written.filter(isSettled), notary)
          if (witness?.isHeard()) witness.publish(changesOf(settled))
          return written
        } finally {
          if (deliveries > 0) {
            for (const listener of onWork) listener()
            onCommit(deliveries, (performance.now() - from) / 1000)
          }
        }
      },
      weigh: (one) => (one.kind === 'change' ? CHANGE_BYTES : weightOf(one)),
      maxItems: maxQueued,
      maxBytes: maxQueuedBytes,
      maxGroup: 1000,
    })

    /** Writes beside the deliveries that wait, so that senders do not wait for two commits where one will do. */
    const change = async <T>(run: () => T): Promise<T> => {
      const written = await commits.add({ kind: 'change', run })
      if ('error' in written) throw written.error
      return ('value' in written ? written.value : undefined) as T
    }

    // Nobody waits for one, and each commit holds up whoever does wait for this thread. Handed on together they are in one
    // commit, in which each stands alone.
    const decisions = createGroupCommit<NewDecision, Decided>({
      commit: (group) => Promise.all(group.map(decideOne)),
      weigh: ({ seen }) => seen.length,
      maxItems: maxQueued,
      maxBytes: maxQueuedBytes,
      maxGroup: 100,
      gatherMs: DECISIONS_MS,
    })

    async function decideOne(decision: NewDecision): Promise<Decided> {
      try {
        return { result: await change(() => writer.changes.decide(decision)) }
      } catch (error) {
        return { error }
      }
    }

    return {
      ticket: (id) => reader.ticket(id),
      heldTicket: (id) => reader.heldTicket(id),
      tickets: (query) => reader.tickets(query),
      mergedInto: (id) => reader.mergedInto(id),
      timeline: (id) => reader.timeline(id),
      deliveries: (query) => reader.deliveries(query),
      delivery: (id) => reader.delivery(id),
      replayable: (query) => reader.replayable(query),
      rowsOf: (changes) => reader.rowsOf(changes),
      changedSince: (entry, limit) => reader.changedSince(entry, limit),
      newestEntry: () => reader.newestEntry(),
      lastOf: (source, last) => reader.lastOf(source, last),
      wholeOf: (source, after, limit) => reader.wholeOf(source, after, limit),
      auditNodes: async () => [''],
      checkpoint: () => reader.checkpoint(),
      auditPage: (after, limit) => reader.auditPage(after, limit),
      auditStart: () => reader.auditStart(),
      submit: async (submission) => receiptOf((await commits.add(submission)) as Settled),
      changeTicket: async (id, to, actor) => {
        const ticket = await change(() => writer.changes.change(id, to, { at: Date.now(), actor }))
        if (ticket !== null) witness?.publish({ deliveries: [], tickets: [id] })
        return ticket
      },
      mergeTicket: async (id, into, actor) =>
        told(await change(() => writer.changes.merge(id, into, { at: Date.now(), actor }))),
      unmergeTicket: async (id, actor) =>
        told(await change(() => writer.changes.unmerge(id, { at: Date.now(), actor }))),
      remap: async (remaps, actor) => {
        const changed = await durably(() => writer.remap(remaps, { at: Date.now(), actor }))
        witness?.publish({ deliveries: [], tickets: remaps.map(({ ticketId }) => ticketId) })
        return changed
      },
      createJobs: (hooks) =>
        createSqliteJobs(
          {
            rows: jobRows,
            reader: { list: (query) => reader.jobs(query), figures: () => reader.jobFigures(Date.now()) },
            commit: durably,
            onWork: (listener) => {
              onWork.add(listener)
              return () => void onWork.delete(listener)
            },
          },
          hooks,
        ),
      triage: {
        triageOf: (ticketId) => reader.triageOf(ticketId),
        examples: (field, first, last) => reader.examples(field, first, last),
        vectors: (model, before, limit) => reader.vectors(model, before, limit),
        unembedded: (model, from, limit) => reader.unembedded(model, from, limit),
        accuracy: (since) => reader.accuracy(since),
        newestVerdict: () => reader.newestVerdict(),
        setting: (name) => reader.setting(name),
        decide: async (decision) => {
          const decided = await decisions.add(decision)
          if ('error' in decided) throw decided.error
          if (decided.result === 'decided') witness?.publish({ deliveries: [], tickets: [decision.ticketId] })
          return decided.result
        },
        judge: (ticketId, field, value, actor) =>
          change(() => writer.changes.judge({ ticketId, field, value, actor, at: Date.now() })),
        saveVectors: (model, vectors) => change(() => writer.changes.saveVectors(model, vectors)),
        saveSetting: (name, value) => change(() => writer.changes.saveSetting(name, value, Date.now())),
      },
      keyStore: createKeys(db, watch),
      sessionStore: createSqliteSessions(db, { durably, readably }),
      receiptKeyStore: createReceiptKeys(db, watch),
      sourceStore: createSourceStore(db, watch),
      rhythmStore: createRhythms(db),
      articleStore: createArticles(db, watch, {
        articles: (query) => reader.articles(query),
        article: (id) => reader.article(id),
        articleFrom: (source) => reader.articleFrom(source),
        versions: () => reader.versions(),
        chunks: (articleId, model) => reader.chunks(articleId, model),
        foundChunks: (ids) => reader.foundChunks(ids),
      }),
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
        await Promise.all([commits.drained(), decisions.drained()])
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
