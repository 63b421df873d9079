import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { SecureContextOptions } from 'node:tls'

import Fastify, { type FastifyBaseLogger, type FastifyReply, type FastifyRequest, LogController } from 'fastify'
import type { Logger } from 'pino'
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'

import { AppError, fail } from '../core/errors.ts'
import type { Jobs } from '../core/jobs.ts'
import type { Platform } from '../core/platform.ts'
import type { Role } from '../core/role.ts'
import type { Traces } from '../core/trace.ts'
import type { Intake } from '../intake/ingest.ts'
import type { Examiner } from '../intake/examine.ts'
import type { Gate } from '../intake/keys.ts'
import type { Limits } from '../intake/limits.ts'
import type { Overload, Shed } from '../intake/overload.ts'
import type { Registry } from '../intake/registry.ts'
import type { TimeMachine } from '../intake/time-machine.ts'
import type { Store } from '../store/store.ts'
import type { ShownKey } from '../store/receipt-key.ts'
import type { Silence } from '../work/silence.ts'
import type { Triage } from '../work/triage.ts'
import type { Library } from '../work/library.ts'
import { aboutRoutes, type Facts } from './about.ts'
import { articleRoutes } from './articles.ts'
import { auditRoutes } from './audit.ts'
import { deliveryRoutes } from './deliveries.ts'
import { sayToBrowsers } from './browsers.ts'
import { answerOn, boundConnections, type ConnectionBounds } from './connections.ts'
import { consolePages } from './console.ts'
import { documentation } from './docs.ts'
import { eventRoutes } from './events.ts'
import { examineRoutes } from './examine.ts'
import { errorBody, sendError, statusOf } from './errors.ts'
import { accessOf, type App, askerOf, JSON_TYPE } from './fastify.ts'
import type { Feed } from './feed.ts'
import { healthRoutes } from './health.ts'
import { jobRoutes } from './jobs.ts'
import { insightRoutes } from './insights.ts'
import { keyRoutes } from './keys.ts'
import type { Metrics } from './metrics.ts'
import { platformRoutes } from './platforms.ts'
import { receiptRoutes } from './receipts.ts'
import { traceRequests } from './request-spans.ts'
import { searchRoutes } from './search.ts'
import { sessionRoutes } from './session.ts'
import { simulationRoutes } from './simulations.ts'
import { sourceRoutes } from './sources.ts'
import { createTarpit } from './tarpit.ts'
import { ticketRoutes } from './tickets.ts'
import { triageRoutes } from './triage.ts'
import { webhookRoutes } from './webhook.ts'

/** Node reads 2,000 and drops the rest unseen, which might be the Origin: so many are refused well before. */
const HEADERS_LIMIT = 200

/** How much longer an answer may take to be read than a request to arrive. */
const ANSWER_PATIENCE = 4

/** The HTTP face: translates, and decides nothing. */
export async function createApp(deps: {
  store: Store
  intake: Intake
  gate: Gate
  registry: Registry
  timeMachine: TimeMachine
  library: Library
  /** Null where it is not on. */
  triage: Triage | null
  silence: Silence
  limits: Limits
  overload: Overload
  trustedProxies: string[]
  publicUrl: string | null
  platforms: readonly Platform[]
  receiptKeys: () => readonly ShownKey[]
  examiner: Examiner
  feed: Feed
  facts: Facts
  metrics: Metrics
  jobs: Jobs
  role: Role
  /** Null where nobody asked for traces. */
  traces: Traces | null
  log: Logger
  writeLine: ((line: string) => void) | null
  bodyLimit: number
  requestTimeoutMs: number
  connections: Pick<ConnectionBounds, 'total' | 'perAddress'>
  /** Null for plain HTTP. */
  tls: SecureContextOptions | null
}): Promise<App> {
  const {
    store,
    intake,
    gate,
    registry,
    timeMachine,
    library,
    triage,
    silence,
    limits,
    overload,
    trustedProxies,
    publicUrl,
  } = deps
  const { platforms, receiptKeys, examiner, feed, facts, metrics, jobs, role, traces, log, writeLine, bodyLimit } = deps
  const { requestTimeoutMs, connections, tls } = deps
  const wire = {
    requireHostHeader: false, // Node's own refusal has no body; the hook below has one
    maxHeaderSize: 16_384,
    headersTimeout: Math.min(10_000, requestTimeoutMs),
    // How often sockets are looked at: what bounds a sender that drips a byte a second.
    connectionsCheckingInterval: 1_000,
  }
  const quiet: FastifyBaseLogger = log.child({}, { level: log.isLevelEnabled('warn') ? 'warn' : log.level })
  const app: App = Fastify({
    // What Fastify itself has to say matters from warnings on; deliveries are logged by the webhook.
    loggerInstance: quiet,
    // One line a delivery is written by the webhook; a child logger for each request would cost more than that line.
    logController: new LogController({ disableRequestLogging: true }),
    childLoggerFactory: (logger) => logger,
    bodyLimit,
    genReqId: requestId,
    // What anybody else says in X-Forwarded-For counts for nothing.
    trustProxy: trustedProxies.length === 0 ? false : trustedProxies,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: 75_000,
    forceCloseConnections: 'idle',
    clientErrorHandler: refuseBrokenRequest,
    frameworkErrors: sendError,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 200, querystringParser: parseQuery },
    // An https.Server has all that an http.Server has, so that what follows need not know which it is.
    ...((tls === null ? { http: wire } : { https: { ...wire, ...tls } }) as { http: typeof wire }),
  }).withTypeProvider<ZodTypeProvider>()

  app.decorateRequest('actor', '')
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  if (traces !== null) traceRequests(app, traces)
  const tarpit = createTarpit(limits)
  app.setErrorHandler(async (error, request, reply) => {
    await tarpit(error, request, reply)
    return sendError(error, request, reply)
  })
  app.setNotFoundHandler(() => fail('not_found', 'No such address; GET /docs lists all there are'))
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    // Not where senders deliver: no browser shows that, and it would be a twelfth of what a delivery costs.
    if (request.method === 'GET' || request.method === 'HEAD') sayToBrowsers(request, reply)
    if (request.raw.rawHeaders.length > HEADERS_LIMIT * 2) {
      fail('headers_too_large', `Request has more than ${HEADERS_LIMIT} headers`)
    }
    if (request.headers.host === undefined && request.raw.httpVersionMinor >= 1) fail('malformed', 'Host is missing')
    // A whole URL is for proxies, and may name another host than Host does.
    if (!request.url.startsWith('/')) fail('malformed', 'The address asked for has to begin with /')
    const { config } = request.routeOptions // made anew each time it is asked for
    const access = accessOf(request.method, config)
    if (access !== 'public' && config.isVital !== true) {
      const shed = overload.refuse(access === 'intake' || access === 'write')
      if (shed !== null) return refuseEarly(shed, request, reply)
    }
    if (access !== 'public') limits.address(request.ip, Date.now())
    // Who announces more than is taken is refused in any case; to hear him out each time would be the costly part.
    if (Number(request.headers['content-length'] ?? 0) > bodyLimit) limits.failure(request.ip, Date.now())
    if (access === 'public') return done()
    const admit = () => {
      if (access !== 'intake') request.actor = gate.authenticate(askerOf(request), access).source
    }
    const session = gate.recognise(request)
    if (session !== null) return void after(session, admit, done)
    admit()
    done()
  })

  // An expectation other than 100-continue may be passed over (RFC 9110, 10.1.1); Node would refuse it without a word.
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))

  const bounds = { ...connections, trustedProxies, answerMs: ANSWER_PATIENCE * requestTimeoutMs }
  const bounded = boundConnections(app.server, bounds, metrics.connectionClosed)
  app.addHook('onClose', async () => bounded.stop())

  if (role === 'worker') {
    // Nobody sends to a node that works; what watches over it is answered.
    await app.register(healthRoutes({ store, metrics, overload }))
    return app
  }
  await documentation(app)
  await consolePages(app)
  await app.register(webhookRoutes({ intake, store, overload, metrics, log, writeLine, publicUrl, tarpit }))
  await app.register(receiptRoutes(receiptKeys))
  await app.register(healthRoutes({ store, metrics, overload }))
  await app.register(ticketRoutes(store), { prefix: '/api' })
  await app.register(deliveryRoutes(store, intake, gate), { prefix: '/api' })
  await app.register(auditRoutes(store), { prefix: '/api' })
  await app.register(platformRoutes(platforms, intake), { prefix: '/api' })
  await app.register(keyRoutes(store.keyStore), { prefix: '/api' })
  await app.register(sourceRoutes({ registry, gate, keyStore: store.keyStore, silence }), { prefix: '/api' })
  await app.register(sessionRoutes({ gate, limits, publicUrl }), { prefix: '/api' })
  await app.register(aboutRoutes({ facts, gate, store }), { prefix: '/api' })
  await app.register(examineRoutes(examiner, intake, store), { prefix: '/api' })
  await app.register(insightRoutes(store), { prefix: '/api' })
  await app.register(eventRoutes(feed, gate), { prefix: '/api' })
  await app.register(simulationRoutes(registry, timeMachine), { prefix: '/api' })
  await app.register(jobRoutes(jobs), { prefix: '/api' })
  await app.register(articleRoutes(library), { prefix: '/api' })
  await app.register(searchRoutes(store, triage), { prefix: '/api' })
  if (triage !== null) await app.register(triageRoutes(store, triage, jobs), { prefix: '/api' })
  return app
}

/** Goes on with a request once what it waits for is there. */
async function after(waited: Promise<void>, admit: () => void, done: (error?: Error) => void): Promise<void> {
  try {
    await waited
    admit()
  } catch (error) {
    return done(error as Error) // nothing else is thrown
  }
  done()
}

/** Without reading the body: Node throws away what still comes of it, and the connection lives on. */
function refuseEarly({ detail, retryAfterS }: Shed, request: FastifyRequest, reply: FastifyReply): void {
  reply.header('retry-after', String(retryAfterS))
  sendError(new AppError('unavailable', detail), request, reply)
}

/** The sender's own id where it can't harm a log or a header, else a new one. */
function requestId(request: IncomingMessage): string {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && /^[\w.:-]{1,100}$/.test(given) ? given : randomUUID()
}

const parseQuery = (query: string) => (query === '' ? {} : Object.fromEntries(new URLSearchParams(query)))

const BROKEN: Readonly<Record<string, AppError>> = {
  ERR_HTTP_REQUEST_TIMEOUT: new AppError('timeout', 'Request took too long to arrive'),
  HPE_HEADER_OVERFLOW: new AppError('headers_too_large', 'Headers are too large; 16 KiB are accepted'),
}

/** What is no HTTP request never reaches a route: it is answered on the socket, and the socket is closed. */
function refuseBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  // All else is the connection's own end: a reset, or a handshake for TLS that came to nothing.
  const isOfHttp = error.code?.startsWith('HPE_') || error.code?.startsWith('ERR_HTTP_')
  if (!isOfHttp || !socket.writable) return void socket.destroy()
  // A request before it on the same connection may be waiting for its commit: its answer goes out first.
  const earlier = answerOn(socket)
  if (earlier?.req.complete && !earlier.writableFinished) {
    return void earlier.once('finish', () => refuseBrokenRequest(error, socket))
  }
  const refusal = BROKEN[error.code ?? ''] ?? new AppError('malformed', 'Not a valid HTTP request')
  const body = JSON.stringify(errorBody(refusal))
  socket.end(
    `HTTP/1.1 ${statusOf(refusal)} Refused\r\nContent-Type: ${JSON_TYPE}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nX-Request-Id: ${randomUUID()}\r\nX-Content-Type-Options: nosniff\r\n` +
      `Cache-Control: no-store\r\nConnection: close\r\n\r\n${body}`,
  )
}
