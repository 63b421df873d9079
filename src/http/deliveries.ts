import type { FastifyRequest } from 'fastify'
import { z } from 'zod'

import { AppError, fail } from '../core/errors.ts'
import type { Intake } from '../intake/ingest.ts'
import type { Gate } from '../intake/keys.ts'
import type { Replayer } from '../intake/replay.ts'
import { type DeliveryReader, OUTCOMES, type StoredDelivery } from '../store/store.ts'
import { Delivery, DeliveryPage, DeliveryWithBody, Errors, Id, page } from './schemas.ts'
import type { App } from './fastify.ts'

const Filters = z.object({
  outcome: z.enum(OUTCOMES).optional(),
  source: z.string().max(60).optional().describe('A source’s id, `open`, `unknown`, or `key:` and a key’s id'),
  ...page,
})

const unproved = z
  .boolean()
  .default(false)
  .describe('Also what was refused because nobody proved who sent it: you know that it is genuine')

const Replay = z.strictObject({ unproved }).nullish()

const Many = z.strictObject({
  outcome: z.enum(OUTCOMES).default('rejected').describe('Refused ones that were mended already are left out'),
  source: z.string().max(60).optional(),
  unproved,
  after: z.int().min(0).default(0).describe('`next` of the call before'),
  limit: z.int().min(1).max(1000).default(100),
})

/** What of a request tells who asks. */
type Asker = Pick<FastifyRequest, 'ip' | 'id' | 'actor' | 'headers'>

const Replays = z
  .object({
    replayed: z.array(Delivery).describe('The deliveries that this made, oldest first'),
    skipped: z.array(z.object({ id: z.int(), reason: z.string() })),
    next: z.int().nullable().describe('Give it as `after` for those that follow'),
  })
  .meta({ id: 'Replays' })

export function deliveryRoutes(store: DeliveryReader, intake: Intake, gate: Gate) {
  /** Who asks. To vouch for a sender that proved nothing takes more than the right to change tickets. */
  function replayer({ ip, id, actor, headers }: Asker, trustUnproved: boolean): Replayer {
    if (trustUnproved) gate.authenticate({ headers, address: ip }, 'admin')
    return { address: ip, requestId: id, actor, now: Date.now(), trustUnproved }
  }

  /** Plays one again, and shows the delivery that this made. */
  async function play(id: number, by: Replayer) {
    const { deliveryId } = await intake.replay(id, by)
    return shownDelivery((await store.delivery(deliveryId)) ?? fail('not_found', `No delivery ${deliveryId}`))
  }

  return async (app: App) => {
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
      async ({ query: { outcome, source, cursor, limit } }) => {
        const found = await store.deliveries({ outcome, source, before: cursor, limit: limit + 1 })
        const deliveries = found.slice(0, limit)
        return {
          deliveries: deliveries.map(shownDelivery),
          next: found.length > limit ? String(deliveries.at(-1)?.id) : null,
        }
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
          ...shownDelivery(delivery),
          body: isText ? body : body && Buffer.from(body).toString('base64'),
          body_encoding: body === null || isText ? ('utf8' as const) : ('base64' as const),
          link,
        }
      },
    )

    app.post(
      '/deliveries/:id/replay',
      {
        schema: {
          tags,
          summary: 'Work one more time what came then, as things are now; never makes its ticket twice',
          params: Id,
          body: Replay,
          response: { 200: Delivery, ...Errors },
        },
      },
      async ({ params, body, ip, id, actor, headers }) =>
        play(params.id, replayer({ ip, id, actor, headers }, body?.unproved ?? false)),
    )

    app.post(
      '/deliveries/replay',
      {
        schema: {
          tags,
          summary: 'Work many once more, oldest first; call again with `next` until it is null',
          body: Many,
          response: { 200: Replays, ...Errors },
        },
      },
      async ({ body: { unproved: trustUnproved, ...query }, ip, id: requestId, actor, headers }) => {
        const by = replayer({ ip, id: requestId, actor, headers }, trustUnproved)
        const ids = await store.replayable(query)
        const result: z.output<typeof Replays> = { replayed: [], skipped: [], next: null }
        for (const id of ids) {
          try {
            result.replayed.push(await play(id, { ...by, now: Date.now() }))
          } catch (error) {
            if (!(error instanceof AppError) || error.code !== 'conflict') throw error
            result.skipped.push({ id, reason: error.message })
          }
        }
        return { ...result, next: ids.length < query.limit ? null : (ids.at(-1) ?? null) }
      },
    )
  }
}

export function shownDelivery(delivery: StoredDelivery) {
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
    replay_of: delivery.replayOf,
  }
}
