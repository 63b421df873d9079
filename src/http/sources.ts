import { z } from 'zod'

import { shownSource, SourceId, SourceSettings } from '../core/source.ts'
import { createAdminKey, type Gate } from '../intake/keys.ts'
import type { Registry } from '../intake/registry.ts'
import type { KeyStore } from '../store/key-store.ts'
import { shownHearing, type Silence } from '../work/silence.ts'
import type { App } from './fastify.ts'
import { Errors, HeardSource, ShownSource } from './schemas.ts'

const HOUR_MS = 3_600_000

export const Named = z.object({ id: z.string().max(50) })

const secret = z.string().min(1).max(4096).describe('The sender’s own; one is made and shown where none is given')

const NewSource = z
  .strictObject({ id: SourceId, secret: secret.optional(), ...SourceSettings.partial().shape })
  .meta({ id: 'NewSource' })

const Change = z
  .strictObject({ ...SourceSettings.partial().shape, disabled: z.boolean().optional() })
  .refine((change) => Object.keys(change).length > 0, 'Nothing to change')
  .meta({ id: 'SourceChange' })

const Rotation = z.strictObject({
  secret: secret.optional(),
  overlap_hours: z.number().min(0).max(720).default(24).describe('How long the secrets that it has go on to count'),
})

const WithSecret = ShownSource.extend({
  secret: z.string().nullable().describe('Shown this once; null where you gave it'),
})

/** Registered senders. A secret that was made here is in the answer that made it, and nowhere else. */
export const sourceRoutes =
  (deps: { registry: Registry; gate: Gate; keyStore: KeyStore; silence: Pick<Silence, 'all'> }) => async (app: App) => {
    const { registry, gate, keyStore, silence } = deps
    const tags = ['sources']
    const config = { access: 'admin' as const }

    app.get(
      '/sources',
      {
        config,
        schema: {
          tags,
          summary: 'All sources, without their secrets',
          response: { 200: z.object({ sources: z.array(HeardSource) }), ...Errors },
        },
      },
      async () => {
        const hearings = await silence.all()
        const sources = await registry.list()
        return {
          sources: sources.map((source) => Object.assign(shownSource(source), shownHearing(hearings.get(source.id)))),
        }
      },
    )

    app.get(
      '/sources/:id',
      { config, schema: { tags, summary: 'One source', params: Named, response: { 200: HeardSource, ...Errors } } },
      async ({ params: { id } }) => {
        const source = await registry.find(id)
        return { ...shownSource(source), ...shownHearing((await silence.all()).get(id)) }
      },
    )

    app.post(
      '/sources',
      {
        config,
        schema: {
          tags,
          summary: 'Register a sender; on an open server it makes the first admin key too',
          body: NewSource,
          response: { 201: WithSecret.extend({ admin_key: z.string().optional() }), ...Errors },
        },
      },
      async ({ body: { id, secret: own = null, ...settings } }, reply) => {
        const now = Date.now()
        const wasOpen = gate.isOpen()
        const made = await registry.create(id, settings, own, now)
        // From now on everything needs a key: whoever closed the door gets one.
        const admin = wasOpen ? await createAdminKey(keyStore, 'first source', now) : null
        return reply
          .code(201)
          .header('location', `/api/sources/${id}`)
          .header('cache-control', 'no-store')
          .send({ ...shownSource(made.source), secret: made.secret, ...(admin && { admin_key: admin.secret }) })
      },
    )

    app.patch(
      '/sources/:id',
      {
        config,
        schema: {
          tags,
          summary: 'Change a source: what is given is set, all else stays',
          params: Named,
          body: Change,
          response: { 200: ShownSource, ...Errors },
        },
      },
      async ({ params: { id }, body }) => shownSource(await registry.update(id, body, Date.now())),
    )

    app.post(
      '/sources/:id/rotate',
      {
        config,
        schema: {
          tags,
          summary: 'Give it a new secret; the old ones go on to count for a while',
          params: Named,
          body: Rotation,
          response: { 200: WithSecret, ...Errors },
        },
      },
      async ({ params: { id }, body: { secret: own = null, overlap_hours: hours } }, reply) => {
        const made = await registry.rotate(id, own, hours * HOUR_MS, Date.now())
        reply.header('cache-control', 'no-store')
        return { ...shownSource(made.source), secret: made.secret }
      },
    )

    app.delete(
      '/sources/:id',
      {
        config,
        schema: {
          tags,
          summary: 'Delete a source; its deliveries and tickets stay',
          params: Named,
          response: { 204: z.null(), ...Errors },
        },
      },
      async ({ params: { id } }, reply) => {
        await registry.remove(id, Date.now())
        return reply.code(204).send(null)
      },
    )
  }
