import type { Jobs, JobsHooks } from '../core/jobs.ts'
import type { Postgres } from './postgres.ts'
import type { Notary } from './receipt-key.ts'
import { prepareDirectory } from './sqlite-files.ts'
import type { KeyStore, ReceiptKeyStore } from './key-store.ts'
import type { ArticleStore, AuditReader, History, RhythmStore, SourceStore, Store, Witness } from './store.ts'

/** What the configuration says of the store: which engine, and where. */
export type Where = { databaseUrl: string | null; dataDir: string }

const QUEUE_BYTES = 67_108_864

// Each engine is loaded where it is used: a command line that waits for what it does not need is slow.
const loadPostgres = () => import('./postgres.ts')
const loadPostgresJobs = () => import('./postgres-jobs.ts')

/** The store that a server works on, and the engine of its jobs; `postgres` is null for the embedded one. */
export async function openStore(
  config: Where & { databaseConnections: number; nodeId: string | null; workerSlot: number; maxQueued: number },
  hooks: {
    notary: Notary
    onCommit: (deliveries: number, seconds: number) => void
    witness: Witness
    /** See openSqliteStore. */
    onDeath: (error: Error) => void
  },
): Promise<{ store: Store; postgres: Postgres | null; openJobs: (hooks: JobsHooks) => Promise<Jobs> }> {
  const { databaseUrl, dataDir, databaseConnections, maxQueued } = config
  const bounds = { maxQueued, maxQueuedBytes: QUEUE_BYTES }
  if (databaseUrl === null) {
    const { openSqliteStore } = await import('./sqlite.ts')
    const { createJobs, ...store } = await openSqliteStore({ directory: dataDir, ...bounds, ...hooks })
    return { store, postgres: null, openJobs: async (jobHooks) => createJobs(jobHooks) }
  }
  prepareDirectory(dataDir)
  const { notary, onCommit, witness } = hooks
  const { nodeId } = await import('./node-id.ts')
  // Processes that share a data directory are nodes of their own: one chain would let one of them commit at a time.
  const own = nodeId(dataDir, config.nodeId)
  const node = config.workerSlot === 1 ? own : `${own}.${config.workerSlot}`
  const { openPostgresStore } = await loadPostgres()
  const { postgres, ...store } = await openPostgresStore({
    url: databaseUrl,
    node,
    readers: databaseConnections,
    ...bounds,
    notary,
    onCommit,
    witness,
  })
  return {
    store,
    postgres,
    openJobs: async (jobHooks) => (await loadPostgresJobs()).openPostgresJobs({ database: databaseUrl }, jobHooks),
  }
}

/** Keys, sources and what belongs to them, whether a server runs on them or not. Throws StoreError. */
export async function openAccess({ databaseUrl, dataDir }: Where): Promise<{
  keyStore: KeyStore
  sourceStore: SourceStore
  rhythmStore: RhythmStore
  receiptKeyStore: ReceiptKeyStore
  close: () => Promise<void>
}> {
  if (databaseUrl !== null) {
    prepareDirectory(dataDir) // of the key that seals secrets
    return (await loadPostgres()).openPostgresBeside(databaseUrl)
  }
  const [{ openSqliteKeys }, { openSqliteSources }, { openSqliteRhythms }, { openSqliteReceiptKeys }] =
    await Promise.all([
      import('./sqlite-keys.ts'),
      import('./sqlite-sources.ts'),
      import('./sqlite-rhythms.ts'),
      import('./sqlite-receipt-keys.ts'),
    ])
  const sourceStore = openSqliteSources(dataDir)
  const keyStore = openSqliteKeys(dataDir)
  const rhythmStore = openSqliteRhythms(dataDir)
  const receiptKeyStore = openSqliteReceiptKeys(dataDir)
  return {
    keyStore,
    sourceStore,
    rhythmStore,
    receiptKeyStore,
    close: async () => {
      receiptKeyStore.close()
      rhythmStore.close()
      sourceStore.close()
      keyStore.close()
    },
  }
}

/** The articles, whether a server runs on them or not. Throws StoreError. */
export async function openArticles({
  databaseUrl,
  dataDir,
}: Where): Promise<ArticleStore & { close: () => Promise<void> }> {
  if (databaseUrl !== null) {
    const { articleStore, close } = await (await loadPostgres()).openPostgresBeside(databaseUrl)
    return { ...articleStore, close }
  }
  const articles = (await import('./sqlite-articles.ts')).openSqliteArticles(dataDir)
  return { ...articles, close: async () => articles.close() }
}

/** The audit log, also beside a server that writes to it. Throws StoreError. */
export async function openAudit({
  databaseUrl,
  dataDir,
}: Where): Promise<AuditReader & { close: () => Promise<void> }> {
  if (databaseUrl !== null) {
    const { audit, close } = await (await loadPostgres()).openPostgresBeside(databaseUrl)
    return { ...audit, close }
  }
  const audit = (await import('./sqlite-audit.ts')).openAudit(dataDir)
  return { ...audit, close: async () => audit.close() }
}

/** What there is to learn from, also beside a server that writes. Throws StoreError. */
export async function openHistory({ databaseUrl, dataDir }: Where): Promise<History> {
  if (databaseUrl === null) return (await import('./sqlite-triage.ts')).openHistory(dataDir)
  const { triage, newestTicket, close } = await (await loadPostgres()).openPostgresBeside(databaseUrl)
  return { ...triage, newestTicket, close }
}
