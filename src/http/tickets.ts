import { z } from 'zod'

import { fail } from '../core/errors.ts'
import { PRIORITIES } from '../core/priority.ts'
import { STATUSES, ticketJson } from '../core/ticket.ts'
import type { Store } from '../store/store.ts'
import { Errors, Id, page, Ticket, TicketPage, TimelineEntry, words } from './schemas.ts'
import { ShownTriage, shownTriage } from './triage.ts'
import { type App, asText, JSON_TYPE } from './fastify.ts'

const word = z.string().trim().toLowerCase().min(1).max(200)

const Filters = z.object({
  status: z.enum(STATUSES).optional(),
  priority: z.enum(PRIORITIES).optional(),
  category: word.optional(),
  platform: word.optional(),
  q: words,
  ...page,
})

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
      return `{"tickets":[${tickets.map(ticketJson).join(',')}],"next":${next}}`
    },
  )

  app.get(
    '/tickets/:id',
    {
      schema: {
        tags,
        summary: 'One ticket, with what triage says of it',
        params: Id,
        response: { 200: asText(Ticket.extend({ triage: ShownTriage.optional() })), ...Errors },
      },
    },
    async ({ params: { id } }, reply) => {
      const [ticket, decision] = await Promise.all([store.ticket(id), store.triage.triageOf(id)])
      if (ticket === null) return fail('not_found', `No ticket ${id}`)
      reply.type(JSON_TYPE)
      if (decision === null) return ticketJson(ticket)
      return `${ticketJson(ticket).slice(0, -1)},"triage":${await shownTriage(store, decision)}}`
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
        response: { 200: asText(Ticket), ...Errors },
      },
    },
    async ({ params: { id }, body, actor }, reply) => {
      const ticket = (await store.changeTicket(id, body, actor)) ?? fail('not_found', `No ticket ${id}`)
      reply.type(JSON_TYPE)
      return ticketJson(ticket)
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
