import type { IncomingMessage } from 'node:http'
import { finished } from 'node:stream/promises'

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import { z } from 'zod'

import { fail } from '../core/errors.ts'
import type { Intake } from '../intake/ingest.ts'
import type { Overload } from '../intake/overload.ts'
import { pathOf } from '../intake/request.ts'
import type { Receipt, Store } from '../store/store.ts'
import { type DeliveryFacts, deliveryLine } from './delivery-line.ts'
import { refusalOf, sendError, statusOf } from './errors.ts'
import type { Metrics } from './metrics.ts'
import type { Tarpit } from './tarpit.ts'
import { BatchResult, Errors, FlatTicket, Ticket, Whose } from './schemas.ts'
import { type App, asText, JSON_TYPE } from './fastify.ts'
import { rawRequest, senderOf, takeBodiesRaw } from './raw.ts'

const WEBHOOK_PATH = '/api/integrations/webhook'

/** The specification's own body, to the letter. */
const HEALTHY = {
  status: 'healthy',
  endpoint: 'webhook',
  supported_platforms: ['zendesk', 'freshdesk', 'jira', 'servicenow', 'custom'],
  features: ['flexible_field_mapping', 'automatic_validation', 'batch_processing', 'metadata_preservation'],
}

const DRAIN_MS = 2_000

const USAGE =
  'This is the webhook: POST one ticket as JSON here, or an array of them to /api/integrations/webhook/batch. GET /docs says more.\n'

export function webhookRoutes(deps: {
  intake: Intake
  store: Store
  overload: Overload
  metrics: Metrics
  log: Logger
  writeLine: ((line: string) => void) | null
  publicUrl: string | null
  tarpit: Tarpit
}) {
  const { intake, store, overload, metrics, log, writeLine, publicUrl, tarpit } = deps

  /** Answers with what the intake made of the request, or with why it made nothing of it: it has both on record. */
  async function settle(
    request: FastifyRequest,
    reply: FastifyReply,
    take: Intake['ticket'],
    created = 200,
  ): Promise<void> {
    try {
      answer(request, reply, await take(rawRequest(request, publicUrl)), created)
    } catch (error) {
      await tarpit(error, request, reply)
      refuse(error, request, reply)
    }
  }

  const takeOne = (request: FastifyRequest, reply: FastifyReply) => settle(request, reply, intake.ticket)
  const takeMany = (request: FastifyRequest, reply: FastifyReply) => settle(request, reply, intake.batch)

  function answer(request: FastifyRequest, reply: FastifyReply, receipt: Receipt, created: number): void {
    const { outcome, ticketId, deliveryId } = receipt
    if (outcome === 'created') reply.code(created)
    if (reply.statusCode === 201) reply.header('location', `/api/tickets/${ticketId}`)
    observe(request, reply, { outcome, ticket: ticketId, delivery: deliveryId })
    if (receipt.proof !== null) reply.header('ticketflow-receipt', receipt.proof)
    if (receipt.replayed) reply.header('idempotency-replayed', 'true')
    // A few senders want another answer than the ticket.
    if (ticketId !== null && !receipt.answer.startsWith('{"id":')) {
      reply.header('content-location', `/api/tickets/${ticketId}`)
    }
    if (receipt.answer !== '') reply.type(JSON_TYPE)
    reply.send(receipt.answer)
  }

  function refuse(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    sendError(error, request, reply)
    const outcome = reply.statusCode === 429 ? 'limited' : 'rejected'
    observe(request, reply, { outcome, reason: reasonOf(error) })
  }

  /** For what was refused before the intake saw it. */
  async function record(error: unknown, request: FastifyRequest): Promise<void> {
    try {
      await intake.refuse(rawRequest(request), reasonOf(error), statusOf(error))
    } catch (cause) {
      log.error({ err: cause, request_id: request.id }, 'a refused request could not be put on record')
    }
  }

  /** One line and one count a delivery, with all its facts and nothing of its body. */
  function observe(request: FastifyRequest, reply: FastifyReply, facts: Became): void {
    const ms = reply.elapsedTime
    metrics.delivery(senderOf(request).sourceId, facts.outcome, ms / 1000)
    const line = {
      ...facts,
      status: reply.statusCode,
      method: request.method,
      path: pathOf(request.url),
      address: request.ip,
      bytes: Buffer.isBuffer(request.body) ? request.body.length : undefined,
      ms: Math.round(ms * 100) / 100,
      request_id: request.id,
    }
    if (reply.statusCode >= 500) log.error(line, 'delivery')
    else if (writeLine === null) log.info(line, 'delivery')
    else writeLine(deliveryLine(line, Date.now()))
  }

  return async (app: App) => {
    takeBodiesRaw(app)
    app.setErrorHandler(async (error, request, reply) => {
      const isProbe = request.method === 'GET' || request.method === 'HEAD'
      if (!isProbe && statusOf(error) !== 429) await record(error, request)
      await tarpit(error, request, reply)
      if (!request.raw.complete) await drained(request.raw)
      refuse(error, request, reply)
    })

    const one = operation({ summary: 'Receive one ticket', tag: 'webhook', body: FlatTicket, result: Ticket })
    const many = operation({
      summary: 'Receive up to 1,000 tickets',
      tag: 'webhook',
      body: z.array(FlatTicket),
      result: BatchResult,
    })
    // Before the body is read: who may not send is not listened to.
    const admit = { onRequest: async (request: FastifyRequest) => intake.admit(senderOf(request)) }
    // Senders probe it, and have no key at that moment.
    const usage = { config: { access: 'public' as const }, schema: { hide: true } }

    for (const [path, hooks] of [[WEBHOOK_PATH, {}] as const, [`${WEBHOOK_PATH}/:source`, admit] as const]) {
      app.post(path, { ...one, ...hooks }, takeOne)
      // Zendesk and Zammad let their administrators choose the method.
      const hidden = { ...one, ...hooks, schema: { ...one.schema, hide: true } }
      app.route({ method: ['PUT', 'PATCH'], url: path, ...hidden, handler: takeOne })
      app.delete(path, usage, refuseMethod('GET, HEAD, POST, PUT, PATCH'))
      app.post(`${path}/batch`, { ...many, ...hooks }, takeMany)
      app.route({
        method: ['PUT', 'PATCH', 'DELETE'],
        url: `${path}/batch`,
        ...usage,
        handler: refuseMethod('GET, HEAD, POST'),
      })
      for (const place of [path, `${path}/batch`]) {
        app.get(place, usage, (_request, reply) => reply.type('text/plain; charset=utf-8').send(USAGE))
      }
    }

    const byHand = operation({
      summary: 'Create a ticket by hand',
      tag: 'tickets',
      body: FlatTicket,
      result: Ticket,
      created: 201,
    })
    app.post('/api/tickets', byHand, (request, reply) => settle(request, reply, intake.ticket, 201))

    app.get(
      `${WEBHOOK_PATH}/health`,
      {
        config: { access: 'public' },
        schema: { tags: ['webhook'], summary: 'Whether the webhook can take tickets' },
      },
      async (request, reply) => {
        const unhealthy = () =>
          reply
            .code(503)
            .header('retry-after', '5')
            .send({ ...HEALTHY, status: 'unhealthy' })
        // The log says so once, when it begins.
        if (overload.isDiskFull()) return unhealthy()
        try {
          await store.probe()
          return HEALTHY
        } catch (error) {
          log.error({ err: error, request_id: request.id }, 'the store cannot commit')
          return unhealthy()
        }
      },
    )
  }
}

/**
 * Reads on and forgets, for a while: a connection that is closed while its sender still writes is reset, and the
 * answer is lost with it.
 */
async function drained(request: IncomingMessage): Promise<void> {
  request.resume()
  await finished(request, { signal: AbortSignal.timeout(DRAIN_MS) }).catch(() => {})
}

/** What became of a delivery, of all that its line says. */
type Became = Pick<DeliveryFacts, 'outcome' | 'ticket' | 'delivery' | 'reason'>

const reasonOf = (error: unknown) => refusalOf(error)?.message ?? 'Internal error'

const refuseMethod = (allowed: string) => (_request: FastifyRequest, reply: FastifyReply) => {
  reply.header('allow', allowed)
  return fail('method_not_allowed', 'The webhook takes POST')
}

/** The schemas serve the reference only: the intake reads the bytes and writes the answer's text itself. */
function operation(shown: { summary: string; tag: string; body: z.ZodType; result: z.ZodType; created?: number }) {
  const { summary, tag, body, result, created = 200 } = shown
  return {
    config: { access: 'intake' as const },
    validatorCompiler: () => (value: unknown) => ({ value }),
    schema: {
      tags: [tag],
      summary,
      consumes: ['application/json', 'application/x-www-form-urlencoded', 'multipart/form-data'],
      querystring: Whose,
      body,
      response: { 200: asText(result), [created]: asText(result), ...Errors },
    },
  }
}
