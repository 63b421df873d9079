import type { Postgres } from './postgres.ts'
import type { Notary } from './receipt-key.ts'
import { prepareDirectory } from './sqlite-files.ts'
import type { AuditReader, KeyStore, SourceStore, Store } from './store.ts'

/** What the configuration says of the store: which engine, and where. */
export type Where = { databaseUrl: string | null; dataDir: string }

const QUEUE_BYTES = 67_108_864

// Each engine is loaded where it is used: a command line that waits for what it does not need is slow.
const loadPostgres = () => import('./postgres.ts')

/** The store that a server works on; `postgres` is for what else lives in that database, null for the embedded engine. */
export async function openStore(
  config: Where & { databaseConnections: number; nodeId: string | null; maxQueued: number },
  hooks: {
    notary: Notary
    onCommit: (deliveries: number, seconds: number) => void
    /** See openSqliteStore. */
    onDeath: (error: Error) => void
  },
): Promise<{ store: Store; postgres: Postgres | null }> {
  const { databaseUrl, dataDir, databaseConnections, maxQueued } = config
  const bounds = { maxQueued, maxQueuedBytes: QUEUE_BYTES }
  if (databaseUrl === null) {
    const { openSqliteStore } = await import('./sqlite.ts')
    return { store: await openSqliteStore({ directory: dataDir, ...bounds, ...hooks }), postgres: null }
  }
  prepareDirectory(dataDir)
  const { notary, onCommit } = hooks
  const { nodeId } = await import('./node-id.ts')
  const node = nodeId(dataDir, config.nodeId)
  const { openPostgresStore } = await loadPostgres()
  const { postgres, ...store } = await openPostgresStore({
    url: databaseUrl,
    node,
    readers: databaseConnections,
    ...bounds,
    notary,
    onCommit,
  })
  return { store, postgres }
}

/** Keys and sources, whether a server runs on them or not. Throws StoreError. */
export async function openAccess({ databaseUrl, dataDir }: Where): Promise<{
  keyStore: KeyStore
  sourceStore: SourceStore
  close: () => Promise<void>
}> {
  if (databaseUrl !== null) {
    prepareDirectory(dataDir) // of the key that seals secrets
    return (await loadPostgres()).openPostgresBeside(databaseUrl)
  }
  const [{ openSqliteKeys }, { openSqliteSources }] = await Promise.all([
    import('./sqlite-keys.ts'),
    import('./sqlite-sources.ts'),
  ])
  const sourceStore = openSqliteSources(dataDir)
  const keyStore = openSqliteKeys(dataDir)
  return {
    keyStore,
    sourceStore,
    close: async () => {
      sourceStore.close()
      keyStore.close()
    },
  }
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
