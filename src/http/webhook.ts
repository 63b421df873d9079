import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import { z } from 'zod'

import { fail } from '../core/errors.ts'
import type { Intake } from '../intake/ingest.ts'
import type { RawRequest } from '../intake/request.ts'
import type { Receipt, Store } from '../store/store.ts'
import type { App } from './app.ts'
import { refusalOf, sendError, statusOf } from './errors.ts'
import type { Metrics } from './metrics.ts'
import { asText, BatchResult, Errors, FlatTicket, JSON_TYPE, Ticket } from './schemas.ts'

export const WEBHOOK_PATH = '/api/integrations/webhook'

/** The specification's own body, to the letter. */
const HEALTHY = {
  status: 'healthy',
  endpoint: 'webhook',
  supported_platforms: ['zendesk', 'freshdesk', 'jira', 'servicenow', 'custom'],
  features: ['flexible_field_mapping', 'automatic_validation', 'batch_processing', 'metadata_preservation'],
}

const USAGE =
  'This is the webhook: POST one ticket as JSON here, or an array of them to /api/integrations/webhook/batch. GET /docs says more.\n'

export function webhookRoutes(deps: { intake: Intake; store: Store; metrics: Metrics; log: Logger }) {
  const { intake, store, metrics, log } = deps

  function answer(request: FastifyRequest, reply: FastifyReply, receipt: Receipt): FastifyReply {
    const { outcome, ticketId, deliveryId } = receipt
    observe(request, reply, { outcome, ticket: ticketId, delivery: deliveryId })
    if (receipt.replayed) reply.header('idempotency-replayed', 'true')
    return reply.type(JSON_TYPE).send(receipt.answer)
  }

  /** A request that was refused before the intake saw it is put on record here; the intake records its own. */
  async function refuse(error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const reason = refusalOf(error)?.message ?? 'Internal error'
    if (request.body === undefined && request.method !== 'GET' && request.method !== 'HEAD') {
      try {
        await intake.refuse(rawRequest(request), reason, statusOf(error))
      } catch (cause) {
        log.error({ err: cause, request_id: request.id }, 'a refused request could not be put on record')
      }
    }
    sendError(error, request, reply)
    observe(request, reply, { outcome: 'rejected', reason })
    return reply
  }

  /** One line and one count a delivery, with all its facts and nothing of its body. */
  function observe(request: FastifyRequest, reply: FastifyReply, facts: Record<string, unknown>): void {
    const ms = reply.elapsedTime
    metrics.delivery(String(facts['outcome']), ms / 1000)
    const line = {
      ...facts,
      status: reply.statusCode,
      method: request.method,
      path: request.url,
      address: request.ip,
      bytes: Buffer.isBuffer(request.body) ? request.body.length : undefined,
      ms: Math.round(ms * 100) / 100,
      request_id: request.id,
    }
    log[reply.statusCode >= 500 ? 'error' : 'info'](line, 'delivery')
  }

  return async (app: App) => {
    // The intake verifies and parses the bytes themselves, whatever type the sender gives them.
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    app.setErrorHandler(refuse)

    const one = operation('Receive one ticket', FlatTicket, Ticket)
    app.post(WEBHOOK_PATH, one, async (request, reply) =>
      answer(request, reply, await intake.ticket(rawRequest(request))),
    )

    const many = operation('Receive up to 1,000 tickets', z.array(FlatTicket), BatchResult)
    app.post(`${WEBHOOK_PATH}/batch`, many, async (request, reply) =>
      answer(request, reply, await intake.batch(rawRequest(request))),
    )

    const byHand = operation('Create a ticket by hand', FlatTicket, Ticket, 201)
    app.post('/api/tickets', byHand, async (request, reply) => {
      const receipt = await intake.ticket(rawRequest(request))
      if (receipt.outcome === 'created') reply.code(201).header('location', `/api/tickets/${receipt.ticketId}`)
      return answer(request, reply, receipt)
    })

    for (const url of [WEBHOOK_PATH, `${WEBHOOK_PATH}/batch`]) {
      app.get(url, { schema: { hide: true } }, (_request, reply) => reply.type('text/plain; charset=utf-8').send(USAGE))
      app.route({ method: ['PUT', 'PATCH', 'DELETE'], url, schema: { hide: true }, handler: refuseMethod })
    }

    app.get(
      `${WEBHOOK_PATH}/health`,
      { schema: { tags: ['webhook'], summary: 'Whether the webhook can take tickets' } },
      async (request, reply) => {
        try {
          await store.probe()
          return HEALTHY
        } catch (error) {
          log.error({ err: error, request_id: request.id }, 'the store cannot commit')
          return reply
            .code(503)
            .header('retry-after', '5')
            .send({ ...HEALTHY, status: 'unhealthy' })
        }
      },
    )
  }
}

function refuseMethod(_request: FastifyRequest, reply: FastifyReply): never {
  reply.header('allow', 'GET, HEAD, POST')
  return fail('method_not_allowed', 'The webhook takes POST')
}

function rawRequest(request: FastifyRequest): RawRequest {
  return {
    id: request.id,
    receivedAt: Date.now(),
    address: request.ip,
    method: request.method,
    path: request.url,
    headers: request.headers,
    body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
  }
}

/** The schemas serve the reference only: the intake reads the bytes and writes the answer's text itself. */
const operation = (summary: string, body: z.ZodType, result: z.ZodType, created = 200) => ({
  validatorCompiler: () => (value: unknown) => ({ value }),
  schema: {
    tags: ['webhook'],
    summary,
    consumes: ['application/json', 'application/x-www-form-urlencoded', 'multipart/form-data'],
    body,
    response: { 200: asText(result), [created]: asText(result), ...Errors },
  },
})
