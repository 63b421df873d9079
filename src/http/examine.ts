import { z } from 'zod'

import { fail } from '../core/errors.ts'
import { FieldMapSettings } from '../core/source.ts'
import type { Examiner } from '../intake/examine.ts'
import type { Intake } from '../intake/ingest.ts'
import type { Store } from '../store/store.ts'
import type { App } from './fastify.ts'
import { shownDelivery } from './deliveries.ts'
import { Delivery, Errors, Id, Preview } from './schemas.ts'
import { Named } from './sources.ts'

const Examined = z
  .object({
    payload: z.unknown().describe('As it is parsed; null when it cannot be'),
    preview: Preview.nullable(),
    refused: z.string().nullable().describe('Why it would be refused'),
    origins: z
      .record(z.string(), z.array(z.string()))
      .describe('Of each field of the ticket, the JSON pointers of the values that it is made of'),
  })
  .meta({ id: 'Examined' })

const Proposal = z.union([
  z.strictObject({ field_map: FieldMapSettings, delivery_id: z.int().min(1) }),
  z.strictObject({ field_map: FieldMapSettings, body: z.string().max(1_048_576).describe('JSON text') }),
])

const Trial = z.strictObject({
  body: z.string().max(1_048_576).describe('JSON text, as the sender would send it'),
  headers: z.record(z.string().regex(/^[a-z0-9-]{1,60}$/), z.string().max(500)).default({}),
})

const TRIED_BY = 'ticketflow-tried-by'

/** What a body becomes, and where each field of it comes from. Nothing is stored. */
export const examineRoutes =
  (examiner: Examiner, intake: Pick<Intake, 'vouched'>, store: Pick<Store, 'delivery'>) => async (app: App) => {
    app.get(
      '/deliveries/:id/preview',
      {
        schema: {
          tags: ['deliveries'],
          summary: 'What would become of this delivery now, and where in it each field comes from',
          params: Id,
          response: { 200: Examined, ...Errors },
        },
      },
      async ({ params: { id } }) => examiner.delivery(id),
    )

    app.post(
      '/sources/:id/preview',
      {
        config: { access: 'admin' },
        schema: {
          tags: ['sources'],
          summary: 'What a field map that is not set would make of a delivery, or of a body of your own',
          params: Named,
          body: Proposal,
          response: { 200: Examined, ...Errors },
        },
      },
      async ({ params: { id }, body }) =>
        'delivery_id' in body
          ? examiner.proposal(id, body.field_map, body.delivery_id)
          : examiner.sample(id, body.field_map, body.body),
    )

    app.post(
      '/sources/:id/try',
      {
        config: { access: 'admin' },
        schema: {
          tags: ['sources'],
          summary: 'Deliver a test in the name of a source, without a signature; it makes a ticket as a real one does',
          params: Named,
          body: Trial,
          response: { 200: Delivery, ...Errors },
        },
      },
      async ({ params, body, ip, id, actor }) => {
        const headers = { ...body.headers, 'content-type': 'application/json', [TRIED_BY]: actor }
        const request = {
          id,
          sourceId: params.id,
          url: '',
          receivedAt: Date.now(),
          address: ip,
          method: 'POST',
          path: `/api/integrations/webhook/${params.id}`,
          headers,
          body: Buffer.from(body.body),
        }
        const { deliveryId } = await intake.vouched(request, params.id)
        return shownDelivery((await store.delivery(deliveryId)) ?? fail('not_found', `No delivery ${deliveryId}`))
      },
    )
  }
