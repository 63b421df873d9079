import type { Config } from './config.ts'
import { createApp } from './http/app.ts'
import { statusOf } from './http/errors.ts'
import { createMetrics } from './http/metrics.ts'
import { createIntake } from './intake/ingest.ts'
import { loadPlatforms } from './intake/platforms.ts'
import { createLog } from './log.ts'
import { openSqliteStore } from './store/sqlite.ts'
import { startHousekeeping } from './work/housekeeping.ts'

const QUEUE_BYTES = 67_108_864
const PATIENCE_MS = 5_000

export type Server = { url: string; close: () => Promise<void> }

/** Composes the program and starts it: config → store → platforms → http. Stops in reverse order. */
export async function startServer(config: Config): Promise<Server> {
  const { log, flush } = createLog(config.logLevel)
  const store = await openSqliteStore({
    directory: config.dataDir,
    maxQueued: config.maxQueued,
    maxQueuedBytes: QUEUE_BYTES,
    onDeath: (error) => {
      log.fatal({ err: error }, 'the reader of the store died; the process ends so that it is started again')
      flush()
      process.exit(1)
    },
  })
  try {
    const platforms = await loadPlatforms()
    const intake = createIntake({ store, platforms, bodyLimit: config.bodyLimit, statusOf })
    const metrics = createMetrics(store.queued)
    const app = await createApp({
      store,
      intake,
      platforms: platforms.all,
      metrics,
      log,
      bodyLimit: config.bodyLimit,
      requestTimeoutMs: config.requestTimeoutMs,
    })
    const stopHousekeeping = startHousekeeping({
      store,
      retentionDays: config.retentionDays,
      onPruned: (count) => log.info({ count }, 'deliveries past their retention were forgotten'),
      onError: (error) => log.error({ err: error }, 'housekeeping failed'),
    })
    const url = await app.listen({ host: config.host, port: config.port })
    log.info({ url, data: config.dataDir }, 'ready')

    return {
      url,
      close: async () => {
        log.info('stopping: no new connections; what is in flight is finished')
        stopHousekeeping()
        // Connections are closed as they fall idle; a sender that never finishes its request does not hold up the stop.
        const tidy = setInterval(() => app.server.closeIdleConnections(), 50)
        const impatience = setTimeout(() => app.server.closeAllConnections(), PATIENCE_MS)
        await app.close()
        clearInterval(tidy)
        clearTimeout(impatience)
        await store.close()
        log.info('stopped')
        flush()
      },
    }
  } catch (error) {
    await store.close()
    throw error
  }
}
