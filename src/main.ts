import { Server as TlsServer } from 'node:tls'

import type { Logger } from 'pino'

import { type Config, ConfigError, shownSettings } from './config.ts'
import { instant } from './core/key.ts'
import { perMinute } from './core/rate.ts'
import type { Traces } from './core/trace.ts'
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
import { shareLimits } from './intake/shared-limits.ts'
import { createSources } from './intake/sources.ts'
import { traceCommits } from './intake/spans.ts'
import { createTimeMachine } from './intake/time-machine.ts'
import { openVault } from './intake/vault.ts'
import { createLog } from './log.ts'
import { openStore } from './store/open.ts'
import type { KeyStore } from './store/key-store.ts'
import { openReceiptKey, type ReceiptKey } from './store/receipt-key.ts'
import { openKeyring } from './store/receipt-keyring.ts'
import { isOpenToOthers } from './store/sqlite-files.ts'
import { createChunker } from './triage/chunker.ts'
import { openTriage } from './triaging.ts'
import { createLibrary } from './work/library.ts'
import { certificateWarning, readTls, type Tls, watchTls } from './tls.ts'
import { version } from './version.ts'
import { createBus } from './work/events.ts'
import { workOf } from './work/jobs.ts'
import { watchSilence } from './work/silence.ts'

const PATIENCE_MS = 5_000
/** How long jobs that run may go on once the server stops; what takes longer is run again. */
const DRAIN_MS = 10_000

const UNSHARED_KEY =
  'the secrets of sources are sealed by a key of this node alone: give all nodes the same TICKETFLOW_SECRET_KEY'

/** Shows the first key to whoever starts the server: it goes to no log. */
export type Announce = (secret: string) => void

export type Server = { url: string; close: () => Promise<void> }

/** Composes the program and starts it: config → store → platforms → http. Stops in reverse order. */
export async function startServer(config: Config, announce: Announce): Promise<Server> {
  assertRole(config)
  const tls = config.tls === null ? null : readTls(config.tls)
  const { log, flush, writeLine } = createLog(config.logLevel)
  const traces = await tracesOf(config, log)
  const bus = createBus()
  const { store, postgres, openJobs } = await openStore(config, {
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
    const keyring = await openKeyring({
      store: store.receiptKeyStore,
      own: receiptKey.keys,
      onError: (error) => log.error({ err: error }, 'the public keys of receipts could not be read'),
    })
    if (process.getuid?.() === 0) log.warn('runs as root, which it has no need to be: give it a user of its own')
    if (config.databaseUrl !== null && config.secretKey === null) log.warn(UNSHARED_KEY)
    const platforms = await loadPlatforms()
    const isLocal = isLoopback(config.host)
    if (!isLocal && config.adminKey === null) await makeFirstKey(store.keyStore, announce)
    const limits = createLimits({
      perAddress: perMinute(config.addressRate || null),
      perKey: perMinute(config.keyRate || null),
      isShared: postgres !== null,
    })
    const stopSharing = postgres === null ? null : shareLimits(limits, postgres.bus, postgres.node)
    const vault = openVault(config.dataDir, config.secretKey)
    const sources = await createSources({
      store: store.sourceStore,
      platforms,
      vault,
      limits,
      onError: (error) => log.error({ err: error }, 'a source cannot take deliveries'),
    })
    const jobs = await openJobs({
      mayRun: () => overload.now() === null,
      onRun: (...run) => metrics.jobRun(...run),
      onFailure: ({ id, kind, attempt, error, isDead }) =>
        log.warn(
          { job: id, kind, attempt, reason: error },
          isDead ? 'a job has failed for the last time and waits for somebody' : 'a job has failed and is tried again',
        ),
      onFault: (error) => log.error({ err: error }, 'work beside requests failed; it goes on by itself'),
    })
    const silence = await watchSilence({
      sources: store.sourceStore,
      store: store.rhythmStore,
      onSilent: (source, { lastSeen }) => log.warn({ source, last_seen: instant(lastSeen) }, 'a source is silent'),
      onHeard: (source) => log.warn({ source }, 'a source is heard again'),
      onError: (error) => log.error({ err: error }, 'when sources were heard could not be read or kept'),
    })
    metrics = createMetrics(store, (id) => sources.find(id) !== null, jobs, silence.all)
    const gate = await createGate({
      store: store.keyStore,
      sessionStore: store.sessionStore,
      isLoopback: isLocal,
      hasSources: sources.isAny,
      adminKey: config.adminKey,
      limits,
      publicUrl: config.publicUrl,
      onError: (error) => log.error({ err: error }, 'the keys could not be read or written'),
    })
    const intake = createIntake({
      store: traces === null ? store : traceCommits(store, traces),
      platforms,
      gate,
      sources,
      bodyLimit: config.bodyLimit,
      statusOf,
      ...(traces !== null && { span: traces.span }),
    })
    const overload = await watchOverload({
      ...config.overload,
      // The disk that fills up is then another machine's, which refuses to commit when it has.
      ...(config.databaseUrl !== null && { minFreeBytes: 0 }),
      directory: config.dataDir,
      isCrowded: store.isCrowded,
      onShed: metrics.shed,
      onBegin: (facts) => log.warn(facts, 'overload: requests are refused with 503 from here on'),
      onEnd: (facts) => log.warn(facts, 'overload is over: requests are taken again'),
    })
    const triage = await openTriage(config, { store, log, traces })
    const chunker = createChunker()
    const feed = createFeed({ store, bus, onError: (error) => log.error({ err: error }, 'changes could not be read') })
    const app = await createApp({
      store,
      intake,
      gate,
      registry: createRegistry({ store: store.sourceStore, platforms, vault }),
      library: createLibrary({ store: store.articleStore, chunker }),
      triage: triage.service,
      timeMachine: createTimeMachine({ store, sources, platforms, bodyLimit: config.bodyLimit }),
      silence,
      limits,
      overload,
      trustedProxies: config.trustedProxies,
      publicUrl: config.publicUrl,
      platforms: platforms.all,
      receiptKeys: keyring.all,
      jobs,
      role: config.role,
      examiner: createExaminer({ store, sources, platforms, bodyLimit: config.bodyLimit }),
      feed,
      facts: {
        version,
        engine: config.databaseUrl === null ? 'sqlite' : 'postgres',
        startedAt: Date.now(),
        publicUrl: config.publicUrl,
        settings: shownSettings(config),
      },
      metrics,
      traces,
      log,
      writeLine,
      bodyLimit: config.bodyLimit,
      requestTimeoutMs: config.requestTimeoutMs,
      connections: { total: config.maxConnections, perAddress: config.addressConnections },
      tls: tls === null ? null : tls.options,
    })
    const work = workOf(config.role, triage.handler, triage.cron, {
      store,
      retentionDays: config.retentionDays,
      onPruned: (count) => log.info({ count }, 'deliveries past their retention were forgotten'),
      onLeap: (ms) =>
        log.warn({ hours: Math.round(ms / 3_600_000) }, 'the clock leapt ahead; nothing is forgotten for a day'),
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
    if (work !== null) await jobs.start(work)
    log.info({ url, data: config.dataDir }, 'ready')

    return {
      url,
      close: async () => {
        log.info('stopping: no new connections; what is in flight is finished')
        const drained = jobs.close({ drainMs: DRAIN_MS })
        unwatch?.()
        // Connections are closed as they fall idle; a sender that never finishes its request does not hold up the stop.
        const tidy = setInterval(() => app.server.closeIdleConnections(), 50)
        const impatience = setTimeout(() => app.server.closeAllConnections(), PATIENCE_MS)
        await app.close()
        overload.close()
        clearInterval(tidy)
        clearTimeout(impatience)
        stopSharing?.()
        keyring.close()
        sources.close()
        await gate.close()
        await drained
        await triage.close()
        await chunker.close()
        await silence.close()
        await store.close()
        await traces?.close()
        log.info('stopped')
        await flush()
      },
    }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** Throws ConfigError: who shares the work has to share the store. */
function assertRole({ role, databaseUrl }: Config): void {
  if (role === 'all' || databaseUrl !== null) return
  throw new ConfigError([
    `The role ${role} is for one of several nodes, and the embedded store is for one alone: set DATABASE_URL, or leave ` +
      'the role at all',
  ])
}

/** Loads what traces need only where they were asked for. */
async function tracesOf(config: Config, log: Logger): Promise<Traces | null> {
  if (config.traces === null) return null
  const { startTraces } = await import('./traces.ts')
  return startTraces({
    config: config.traces,
    onFault: (error) =>
      log.warn({ why: error.message }, 'traces: the collector takes none; they are dropped until it does'),
    onMended: () => log.warn('traces: the collector takes them again'),
  })
}

/** A server that others reach is closed from its first moment; without a key nobody could open it. */
async function makeFirstKey(store: KeyStore, announce: Announce): Promise<void> {
  if ((await store.keys()).length > 0) return
  const { secret } = await createAdminKey(store, 'first start', Date.now())
  announce(secret)
}
