import { z } from 'zod'

import { fail } from '../core/errors.ts'
import { type DeliveryReader, OUTCOMES, type StoredDelivery } from '../store/store.ts'
import { DeliveryPage, DeliveryWithBody, Errors, Id, page } from './schemas.ts'
import type { App } from './fastify.ts'

const Filters = z.object({ outcome: z.enum(OUTCOMES).optional(), ...page })

export const deliveryRoutes = (store: DeliveryReader) => async (app: App) => {
  const tags = ['deliveries']

  app.get(
    '/deliveries',
    {
      schema: {
        tags,
        summary: 'Requests to the webhook, newest first',
        querystring: Filters,
        response: { 200: DeliveryPage, ...Errors },
      },
    },
    async ({ query: { outcome, cursor, limit } }) => {
      const found = await store.deliveries({ outcome, before: cursor, limit: limit + 1 })
      const deliveries = found.slice(0, limit)
      return { deliveries: deliveries.map(wire), next: found.length > limit ? String(deliveries.at(-1)?.id) : null }
    },
  )

  app.get(
    '/deliveries/:id',
    {
      schema: {
        tags,
        summary: 'One request with its body',
        params: Id,
        response: { 200: DeliveryWithBody, ...Errors },
      },
    },
    async ({ params: { id } }) => {
      const { body, link, ...delivery } =
        (await store.delivery(id)) ?? fail('not_found', `No delivery ${id}; they are kept for a limited time`)
      const isText = typeof body === 'string'
      return {
        ...wire(delivery),
        body: isText ? body : body && Buffer.from(body).toString('base64'),
        body_encoding: body === null || isText ? ('utf8' as const) : ('base64' as const),
        link,
      }
    },
  )
}

function wire(delivery: StoredDelivery) {
  return {
    id: delivery.id,
    received_at: new Date(delivery.receivedAt).toISOString(),
    source: delivery.source,
    address: delivery.address,
    method: delivery.method,
    path: delivery.path,
    headers: JSON.parse(delivery.headers) as Record<string, unknown>, // written by maskedHeaders
    body_size: delivery.bodySize,
    body_sha256: delivery.bodySha256,
    request_id: delivery.requestId,
    platform: delivery.platform,
    idempotency_key: delivery.idempotencyKey,
    outcome: delivery.outcome,
    status: delivery.status,
    reason: delivery.reason,
    ticket_id: delivery.ticketId,
    duration_ms: delivery.durationUs / 1000,
  }
}
