import { createActivity } from './activity.ts'
import { createGroupCommit } from './group-commit.ts'
import { activityQueries } from './postgres-activity.ts'
import { createPostgresArticles } from './postgres-articles.ts'
import { createPostgresAudit } from './postgres-audit.ts'
import { type Bus, openBus, tellerOf } from './postgres-bus.ts'
import { ask, createPool, type Pool } from './postgres-connect.ts'
import { startIndexing } from './postgres-index.ts'
import { createPostgresKeys, createPostgresSources } from './postgres-keys.ts'
import { pruneDeliveries } from './postgres-prune.ts'
import { createPostgresReader } from './postgres-reader.ts'
import { createPostgresReceiptKeys } from './postgres-receipt-keys.ts'
import { createPostgresRhythms } from './postgres-rhythms.ts'
import { prepareDatabase } from './postgres-schema.ts'
import { createPostgresSessions } from './postgres-sessions.ts'
import { createPostgresTriage } from './postgres-triage.ts'
import { createTeller } from './postgres-witness.ts'
import { createPostgresWriter } from './postgres-writer.ts'
import type { MergeResult } from './merges.ts'
import type { Notary } from './receipt-key.ts'
import type { Store, Submission, Witness } from './store.ts'
import { changesOf, proven, receiptOf, type Settled, weightOf } from './submissions.ts'

/** Group commits of a node at a time: while the database works on one, the node prepares the next. */
const LANES = 2
const LEAST_BESIDE = 32
/** Connections that write: those of the group commits, and two for what people change meanwhile. */
const WRITERS = LANES + 2

/** What others build on the same database: jobs, events. */
export type Postgres = {
  url: string
  /** Of the connections that read; bounded, and whoever takes one gives it back. */
  pool: Pool
  bus: Bus
  node: string
}

/**
 * The store for many nodes: one PostgreSQL database, written by group commit. Throws StoreError when the database cannot
 * be used now; when it is lost later, everything is `unavailable` until it is back.
 */
export async function openPostgresStore(options: {
  url: string
  /** Who writes, for good (node-id.ts). */
  node: string
  /** How many connections read at most. */
  readers: number
  maxQueued: number
  maxQueuedBytes: number
  notary?: Notary
  onCommit?: (deliveries: number, seconds: number) => void
  /** Hears what commits changed, those of other nodes too. */
  witness?: Witness
}): Promise<Store & { postgres: Postgres }> {
  const { url, node, readers, maxQueued, maxQueuedBytes, notary = () => [], onCommit = () => {}, witness } = options
  await prepareDatabase(url, node)
  const writing = createPool(url, { name: `ticketflow ${node} writer`, max: WRITERS })
  const pool = createPool(url, { name: `ticketflow ${node}`, max: readers })
  try {
    const bus = await openBus(url, writing)
    const teller = createTeller(bus, witness)
    const indexing = startIndexing(writing)
    const writer = createPostgresWriter(writing, node)
    const told = (result: MergeResult | null) => {
      teller.told({ deliveries: [], tickets: result?.changed ?? [] })
      return result?.ticket ?? null
    }
    const commits = createGroupCommit<Submission, Settled>({
      lanes: LANES,
      leastBeside: LEAST_BESIDE,
      commit: async (group, lane) => {
        const from = performance.now()
        try {
          const settled = proven(await writer.submit(group, lane), notary)
          teller.told(changesOf(settled))
          indexing.noteNew()
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
      ...createPostgresReader(pool),
      ...createPostgresAudit(pool, node),
      triage: {
        ...createPostgresTriage(pool),
        decide: async (decision) => {
          const result = await writer.decide(decision)
          if (result === 'decided') teller.told({ deliveries: [], tickets: [decision.ticketId] })
          return result
        },
        judge: (ticketId, field, value, actor) => writer.judge({ ticketId, field, value, actor, at: Date.now() }),
      },
      keyStore: createPostgresKeys(writing, bus),
      sessionStore: createPostgresSessions(writing, bus),
      receiptKeyStore: createPostgresReceiptKeys(writing, bus, node),
      sourceStore: createPostgresSources(writing, bus),
      rhythmStore: createPostgresRhythms(writing),
      articleStore: createPostgresArticles({ reading: pool, writing }, bus),
      submit: async (submission) => receiptOf(await commits.add(submission)),
      changeTicket: async (id, change, actor) => {
        const ticket = await writer.changeTicket(id, change, { at: Date.now(), actor })
        if (ticket !== null) teller.told({ deliveries: [], tickets: [id] })
        return ticket
      },
      mergeTicket: async (id, into, actor) => told(await writer.merge(id, into, { at: Date.now(), actor })),
      unmergeTicket: async (id, actor) => told(await writer.unmerge(id, { at: Date.now(), actor })),
      remap: async (remaps, actor) => {
        const changed = await writer.remap(remaps, { at: Date.now(), actor })
        teller.told({ deliveries: [], tickets: remaps.map(({ ticketId }) => ticketId) })
        return changed
      },
      activity: createActivity(activityQueries(pool)),
      prune: (before) => pruneDeliveries(writing, url, { before, now: Date.now() }),
      probe: async () => {
        await ask(writing, 'update nodes set seen_at = $1 where id = $2', [Date.now(), node])
      },
      queued: commits.queued,
      isCrowded: commits.isCrowded,
      close: async () => {
        await commits.drained()
        indexing.close()
        teller.close()
        await bus.close()
        await Promise.all([writing.end(), pool.end()])
      },
      postgres: { url, pool, bus, node },
    }
  } catch (error) {
    await Promise.all([writing.end(), pool.end()])
    throw error
  }
}

/** Keys, sources, articles, audit log and what there is to learn from, for a command that runs beside servers. Throws StoreError. */
export async function openPostgresBeside(url: string) {
  await prepareDatabase(url)
  const pool = createPool(url, { name: 'ticketflow command', max: 2 })
  const teller = tellerOf(pool)
  return {
    keyStore: createPostgresKeys(pool, teller),
    sourceStore: createPostgresSources(pool, teller),
    rhythmStore: createPostgresRhythms(pool),
    receiptKeyStore: createPostgresReceiptKeys(pool, teller, ''),
    articleStore: createPostgresArticles({ reading: pool, writing: pool }, teller),
    audit: createPostgresAudit(pool, ''),
    triage: createPostgresTriage(pool),
    newestTicket: async () => (await createPostgresReader(pool).figures()).newestTicket,
    close: () => pool.end(),
  }
}
