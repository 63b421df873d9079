import { Server as TlsServer } from 'node:tls'

import { type Config, shownSettings } from './config.ts'
import { perMinute } from './core/rate.ts'
import { createApp } from './http/app.ts'
import { statusOf } from './http/errors.ts'
import { createFeed } from './http/feed.ts'
import { createMetrics, type Metrics } from './http/metrics.ts'
import { createExaminer } from './intake/examine.ts'
import { createIntake } from './intake/ingest.ts'
import { isLoopback } from './intake/auth.ts'
import { createAdminKey, createGate } from './intake/keys.ts'
import { createLimits } from './intake/limits.ts'
import { watchOverload } from './intake/overload.ts'
import { loadPlatforms } from './intake/platforms.ts'
import { createRegistry } from './intake/registry.ts'
import { createSources } from './intake/sources.ts'
import { createTimeMachine } from './intake/time-machine.ts'
import { openVault } from './intake/vault.ts'
import { createLog } from './log.ts'
import type { KeyStore } from './store/store.ts'
import { openReceiptKey, type ReceiptKey } from './store/receipt-key.ts'
import { isOpenToOthers } from './store/sqlite-files.ts'
import { openSqliteStore } from './store/sqlite.ts'
import { certificateWarning, readTls, type Tls, watchTls } from './tls.ts'
import { version } from './version.ts'
import { createBus } from './work/events.ts'
import { startHousekeeping } from './work/housekeeping.ts'

const QUEUE_BYTES = 67_108_864
const PATIENCE_MS = 5_000

/** Shows the first key to whoever starts the server: it goes to no log. */
export type Announce = (secret: string) => void

export type Server = { url: string; close: () => Promise<void> }

/** Composes the program and starts it: config → store → platforms → http. Stops in reverse order. */
export async function startServer(config: Config, announce: Announce): Promise<Server> {
  const tls = config.tls === null ? null : readTls(config.tls)
  const { log, flush } = createLog(config.logLevel)
  const bus = createBus()
  const store = await openSqliteStore({
    directory: config.dataDir,
    maxQueued: config.maxQueued,
    maxQueuedBytes: QUEUE_BYTES,
    notary: (facts) => receiptKey.notary(facts),
    onCommit: (deliveries, seconds) => metrics.commit(deliveries, seconds),
    witness: bus,
    onDeath: async (error) => {
      log.fatal({ err: error }, 'the reader of the store died; the process ends so that it is started again')
      await flush()
      process.exit(1)
    },
  })
  let receiptKey: ReceiptKey
  let metrics: Metrics
  try {
    receiptKey = openReceiptKey(config.dataDir)
    for (const warning of receiptKey.warnings) log.warn(warning)
    if (process.getuid?.() === 0) log.warn('runs as root, which it has no need to be: give it a user of its own')
    const platforms = await loadPlatforms()
    const isLocal = isLoopback(config.host)
    if (!isLocal && config.adminKey === null) await makeFirstKey(store.keyStore, announce)
    const limits = createLimits({
      perAddress: perMinute(config.addressRate || null),
      perKey: perMinute(config.keyRate || null),
    })
    const vault = openVault(config.dataDir, config.secretKey)
    const sources = await createSources({
      store: store.sourceStore,
      platforms,
      vault,
      limits,
      onError: (error) => log.error({ err: error }, 'a source cannot take deliveries'),
    })
    metrics = createMetrics(store, (id) => sources.find(id) !== null)
    const gate = await createGate({
      store: store.keyStore,
      isLoopback: isLocal,
      hasSources: sources.isAny,
      adminKey: config.adminKey,
      limits,
      publicUrl: config.publicUrl,
      onError: (error) => log.error({ err: error }, 'the keys could not be read or written'),
    })
    const intake = createIntake({ store, platforms, gate, sources, bodyLimit: config.bodyLimit, statusOf })
    const overload = await watchOverload({
      ...config.overload,
      directory: config.dataDir,
      isCrowded: store.isCrowded,
      onShed: metrics.shed,
      onBegin: (facts) => log.warn(facts, 'overload: requests are refused with 503 from here on'),
      onEnd: (facts) => log.warn(facts, 'overload is over: requests are taken again'),
    })
    const feed = createFeed({ store, bus, onError: (error) => log.error({ err: error }, 'changes could not be read') })
    const app = await createApp({
      store,
      intake,
      gate,
      registry: createRegistry({ store: store.sourceStore, platforms, vault }),
      timeMachine: createTimeMachine({ store, sources, platforms, bodyLimit: config.bodyLimit }),
      limits,
      overload,
      trustedProxies: config.trustedProxies,
      publicUrl: config.publicUrl,
      platforms: platforms.all,
      receiptKeys: receiptKey.keys,
      examiner: createExaminer({ store, sources, platforms, bodyLimit: config.bodyLimit }),
      feed,
      facts: {
        version,
        engine: 'sqlite',
        startedAt: Date.now(),
        publicUrl: config.publicUrl,
        settings: shownSettings(config),
      },
      metrics,
      log,
      bodyLimit: config.bodyLimit,
      requestTimeoutMs: config.requestTimeoutMs,
      connections: { total: config.maxConnections, perAddress: config.addressConnections },
      tls: tls === null ? null : tls.options,
    })
    const stopHousekeeping = startHousekeeping({
      store,
      retentionDays: config.retentionDays,
      onPruned: (count) => log.info({ count }, 'deliveries past their retention were forgotten'),
      onLeap: (ms) =>
        log.warn({ hours: Math.round(ms / 3_600_000) }, 'the clock leapt ahead; nothing is forgotten for a day'),
      onError: (error) => log.error({ err: error }, 'housekeeping failed'),
    })
    const useCertificate = ({ options, certificate }: Tls) => {
      if (app.server instanceof TlsServer) app.server.setSecureContext(options)
      const warning = certificateWarning(certificate, Date.now())
      if (warning !== null) log.warn(warning)
    }
    if (tls !== null) useCertificate(tls)
    const url = await app.listen({ host: config.host, port: config.port })
    // The files in it are private in any case; whose directory it is we do not know, so it is left as it is.
    if (isOpenToOthers(config.dataDir)) {
      log.warn({ data: config.dataDir }, 'other users may look into the data directory; chmod 700 keeps them out')
    }
    const unwatch =
      config.tls &&
      tls &&
      watchTls(config.tls, tls, {
        changed: (renewed) => {
          useCertificate(renewed)
          log.info({ valid_to: renewed.certificate.validToDate.toISOString() }, 'the TLS certificate was read anew')
        },
        fault: (error) =>
          log.error({ err: error }, 'the TLS certificate cannot be renewed; the one before stays in use'),
      })
    log.info({ url, data: config.dataDir }, 'ready')

    return {
      url,
      close: async () => {
        log.info('stopping: no new connections; what is in flight is finished')
        stopHousekeeping()
        unwatch?.()
        // Connections are closed as they fall idle; a sender that never finishes its request does not hold up the stop.
        const tidy = setInterval(() => app.server.closeIdleConnections(), 50)
        const impatience = setTimeout(() => app.server.closeAllConnections(), PATIENCE_MS)
        await app.close()
        overload.close()
        clearInterval(tidy)
        clearTimeout(impatience)
        sources.close()
        await gate.close()
        await store.close()
        log.info('stopped')
        await flush()
      },
    }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** A server that others reach is closed from its first moment; without a key nobody could open it. */
async function makeFirstKey(store: KeyStore, announce: Announce): Promise<void> {
  if ((await store.keys()).length > 0) return
  const { secret } = await createAdminKey(store, 'first start', Date.now())
  announce(secret)
}
