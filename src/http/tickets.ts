import { z } from 'zod'

import { fail } from '../core/errors.ts'
import { PRIORITIES } from '../core/priority.ts'
import { STATUSES, type Ticket, ticketJson } from '../core/ticket.ts'
import type { Store } from '../store/store.ts'
import { Errors, Id, page, TicketPage, TimelineEntry, WholeTicket, words } from './schemas.ts'
import { ShownTriage, shownTriage } from './triage.ts'
import { type App, asText, JSON_TYPE } from './fastify.ts'

const word = z.string().trim().toLowerCase().min(1).max(200)

const Filters = z.object({
  status: z.enum(STATUSES).optional(),
  priority: z.enum(PRIORITIES).optional(),
  category: word.optional(),
  platform: word.optional(),
  q: words,
  merged: z
    .enum(['true', 'false'])
    .transform((merged) => merged === 'true')
    .optional()
    .describe('Only those that are merged into another, or only those that stand for themselves'),
  ...page,
})

const Merge = z.strictObject({ into: z.int().min(1).describe('The ticket that stands for this one from now on') })

const Change = z
  .strictObject({
    status: z.enum(STATUSES).optional(),
    priority: z.enum(PRIORITIES).optional(),
    category: word.optional(),
  })
  .refine((change) => Object.keys(change).length > 0, 'Nothing to change: give status, priority or category')

export const ticketRoutes = (store: Store) => async (app: App) => {
  const tags = ['tickets']

  app.get(
    '/tickets',
    {
      schema: {
        tags,
        summary: 'Tickets, newest first',
        querystring: Filters,
        response: { 200: asText(TicketPage), ...Errors },
      },
    },
    async ({ query: { limit, cursor, ...filters } }, reply) => {
      const found = await store.tickets({ ...filters, before: cursor, limit: limit + 1 })
      const tickets = found.slice(0, limit)
      const next = found.length > limit ? `"${tickets.at(-1)?.id}"` : 'null'
      reply.type(JSON_TYPE)
      return `{"tickets":[${tickets.map(listedJson).join(',')}],"next":${next}}`
    },
  )

  app.get(
    '/tickets/:id',
    {
      schema: {
        tags,
        summary: 'One ticket, with what triage says of it',
        params: Id,
        response: { 200: asText(WholeTicket.extend({ triage: ShownTriage.optional() })), ...Errors },
      },
    },
    async ({ params: { id } }, reply) => {
      const [ticket, merged, decision] = await Promise.all([
        store.ticket(id),
        store.mergedInto(id),
        store.triage.triageOf(id),
      ])
      if (ticket === null) return fail('not_found', `No ticket ${id}`)
      reply.type(JSON_TYPE)
      const json = wholeJson(ticket, merged)
      return decision === null ? json : withFields(json, `"triage":${await shownTriage(store, id, decision)}`)
    },
  )

  app.patch(
    '/tickets/:id',
    {
      schema: {
        tags,
        summary: 'Change status, priority or category',
        params: Id,
        body: Change,
        response: { 200: asText(WholeTicket), ...Errors },
      },
    },
    async ({ params: { id }, body, actor }, reply) => {
      const ticket = (await store.changeTicket(id, body, actor)) ?? fail('not_found', `No ticket ${id}`)
      reply.type(JSON_TYPE)
      return wholeJson(ticket, await store.mergedInto(id))
    },
  )

  app.post(
    '/tickets/:id/merge',
    {
      schema: {
        tags,
        summary: 'Merge it into another ticket, which then stands for it; it is closed until it is un-merged',
        params: Id,
        body: Merge,
        response: { 200: asText(WholeTicket), ...Errors },
      },
    },
    async ({ params: { id }, body: { into }, actor }, reply) => {
      const ticket = (await store.mergeTicket(id, into, actor)) ?? fail('not_found', `No ticket ${id}`)
      reply.type(JSON_TYPE)
      return wholeJson(ticket, await store.mergedInto(id))
    },
  )

  app.post(
    '/tickets/:id/unmerge',
    {
      schema: {
        tags,
        summary: 'Let it stand for itself again, with the status that is its own',
        params: Id,
        response: { 200: asText(WholeTicket), ...Errors },
      },
    },
    async ({ params: { id }, actor }, reply) => {
      const ticket = (await store.unmergeTicket(id, actor)) ?? fail('not_found', `No ticket ${id}`)
      reply.type(JSON_TYPE)
      return wholeJson(ticket, await store.mergedInto(id))
    },
  )

  app.get(
    '/tickets/:id/timeline',
    {
      schema: {
        tags,
        summary: 'What happened to a ticket, oldest first',
        params: Id,
        response: { 200: z.object({ timeline: z.array(TimelineEntry) }), ...Errors },
      },
    },
    async ({ params: { id } }) => {
      const entries = (await store.timeline(id)) ?? fail('not_found', `No ticket ${id}`)
      return {
        timeline: entries.map(({ kind, at, actor, deliveryId, changes, comment }) => ({
          kind,
          at: new Date(at).toISOString(),
          actor,
          delivery_id: deliveryId,
          changes,
          comment,
        })),
      }
    },
  )
}

const withFields = (json: string, fields: string) => `${json.slice(0, -1)},${fields}}`

function listedJson(ticket: Ticket): string {
  const json = ticketJson(ticket)
  return ticket.merged === null ? json : withFields(json, `"merged_into":${ticket.merged.into}`)
}

function wholeJson(ticket: Ticket, merged: readonly number[]): string {
  const json = listedJson(ticket)
  return merged.length === 0 ? json : withFields(json, `"merged":[${merged.join(',')}]`)
}
