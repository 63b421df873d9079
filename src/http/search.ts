import { z } from 'zod'

import { STATUSES } from '../core/ticket.ts'
import type { Store } from '../store/store.ts'
import { search } from '../work/search.ts'
import type { Triage } from '../work/triage.ts'
import type { App } from './fastify.ts'
import { Errors } from './schemas.ts'

const Q_LIMIT = 500

const Hit = z
  .object({
    kind: z.enum(['ticket', 'article']),
    id: z.int(),
    title: z.string(),
    excerpt: z.string(),
    score: z.number().min(0).max(1).nullable().describe('How near it is; null where it holds the words, and no more'),
    status: z.enum(STATUSES).nullable().describe('Of a ticket'),
    source: z.string().nullable().describe('Of an article, where it comes from'),
  })
  .meta({ id: 'Hit' })

/** Tickets and articles by what they are about, and by their words. `triage` is null where it is not on. */
export const searchRoutes = (store: Store, triage: Triage | null) => async (app: App) => {
  app.get(
    '/search',
    {
      schema: {
        tags: ['search'],
        summary: 'Tickets and articles: what is near, by words and by meaning, then what holds all the words',
        querystring: z.object({
          q: z.string().trim().min(1).max(Q_LIMIT).describe('Words, or a sentence'),
          limit: z.coerce.number<string>().int().min(1).max(50).default(10),
        }),
        response: {
          200: z.object({
            hits: z.array(Hit),
            note: z.string().nullable().describe('Why it was found by whole words alone; null where it was not'),
          }),
          ...Errors,
        },
      },
    },
    ({ query }) => search({ store, triage }, query),
  )
}
