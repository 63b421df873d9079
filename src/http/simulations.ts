import { z } from 'zod'

import { FieldMapSettings } from '../core/source.ts'
import { clip } from '../core/text.ts'
import type { Registry } from '../intake/registry.ts'
import type { Simulation, TimeMachine } from '../intake/time-machine.ts'
import type { App } from './fastify.ts'
import { Errors } from './schemas.ts'
import { Named } from './sources.ts'
import { told } from './told.ts'

const Proposal = z.strictObject({
  field_map: FieldMapSettings,
  last: z.int().min(1).max(100_000).default(10_000).describe('How many of its deliveries, the newest'),
  show: z.int().min(0).max(1000).default(100).describe('How many tickets and deliveries of each kind are listed'),
})

const SimulationShown = z
  .object({
    deliveries: z.int(),
    tickets: z.int(),
    different: z.int().describe('Tickets that would be others'),
    by_field: z.record(z.string(), z.int()).describe('How many tickets a field would be another on'),
    differences: z.array(
      z.object({
        ticket_id: z.int(),
        changes: z.record(z.string(), z.object({ from: z.unknown(), to: z.unknown() })),
        kept: z.array(z.string()).describe('Set by a person since: these stay'),
      }),
    ),
    mended_count: z.int(),
    mended: z
      .array(z.object({ delivery_id: z.int(), reason: z.string().nullable(), title: z.string().nullable() }))
      .describe('Refused then, and taken with this map: replay them once it is set'),
    broken_count: z.int(),
    broken: z
      .array(z.object({ delivery_id: z.int(), ticket_id: z.int(), reason: z.string() }))
      .describe('Taken then, and refused with this map'),
    skipped: z.int().describe('Batches, and deliveries without a body or a proof of who sent them'),
  })
  .meta({ id: 'Simulation' })

/** What a changed field map would make, and makes, of the deliveries that are on record. */
export const simulationRoutes = (registry: Registry, timeMachine: TimeMachine) => async (app: App) => {
  const tags = ['sources']
  const config = { access: 'admin' as const }

  app.post(
    '/sources/:id/simulate',
    {
      config,
      schema: {
        tags,
        summary: 'Run a changed field map over what the source has sent, and show the difference; changes nothing',
        description: 'With `Accept: application/x-ndjson` a line `{"progress":{"done","total"}}` comes now and then.',
        params: Named,
        body: Proposal,
        response: { 200: SimulationShown, ...Errors },
      },
    },
    async ({ params: { id }, body: { field_map: fieldMap, last, show }, headers }, reply) =>
      told(headers, reply, async (onProgress) =>
        shownSimulation(await timeMachine.simulate({ id, fieldMap, last, onProgress }), show),
      ),
  )

  app.post(
    '/sources/:id/apply',
    {
      config,
      schema: {
        tags,
        summary: 'Set the field map, and make of the stored deliveries what it says; what people edited stays',
        params: Named,
        body: Proposal,
        response: { 200: SimulationShown.extend({ changed: z.int() }), ...Errors },
      },
    },
    async ({ params: { id }, body: { field_map: fieldMap, last, show }, actor, headers }, reply) =>
      told(headers, reply, async (onProgress) => {
        const save = () => registry.update(id, { field_map: fieldMap }, Date.now())
        const applied = await timeMachine.apply({ id, fieldMap, last, onProgress }, save, actor)
        return { ...shownSimulation(applied, show), changed: applied.changed }
      }),
  )
}

/** Texts long enough to see what became another. */
const SHOWN = 200

const clipped = (value: unknown) => (typeof value === 'string' ? clip(value, SHOWN) : value)

function shownSimulation(found: Simulation, show: number): z.output<typeof SimulationShown> {
  const fields = found.differences.flatMap(({ changes }) => Object.keys(changes))
  const byField = Map.groupBy(fields, (field) => field)
  return {
    deliveries: found.deliveries,
    tickets: found.tickets,
    different: found.differences.length,
    by_field: Object.fromEntries([...byField].map(([field, all]) => [field, all.length])),
    differences: found.differences.slice(0, show).map(({ ticketId, changes, kept }) => ({
      ticket_id: ticketId,
      changes: Object.fromEntries(
        Object.entries(changes).map(([field, { from, to }]) => [field, { from: clipped(from), to: clipped(to) }]),
      ),
      kept,
    })),
    mended_count: found.mended.length,
    mended: found.mended
      .slice(0, show)
      .map(({ deliveryId, reason, title }) => ({ delivery_id: deliveryId, reason, title })),
    broken_count: found.broken.length,
    broken: found.broken
      .slice(0, show)
      .map(({ deliveryId, ticketId, reason }) => ({ delivery_id: deliveryId, ticket_id: ticketId, reason })),
    skipped: found.skipped,
  }
}
