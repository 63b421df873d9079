import { z } from 'zod'

import { AppError } from '../core/errors.ts'
import { excerptOf } from '../core/excerpt.ts'
import { STATUSES, type Ticket } from '../core/ticket.ts'
import type { Store } from '../store/store.ts'
import type { FoundArticle } from '../work/found-articles.ts'
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
type Hit = z.infer<typeof Hit>

const Answer = z.object({
  hits: z.array(Hit),
  by: z
    .enum(['likeness', 'words'])
    .describe('words: triage is off or does not answer, and only whole words were found'),
  note: z.string().nullable().describe('Why it was found by words alone'),
})

type Search = Pick<Triage, 'search'>

/** Tickets and articles by what they are about, and by their words. */
export const searchRoutes = (store: Store, triage: Search | null) => async (app: App) => {
  app.get(
    '/search',
    {
      schema: {
        tags: ['search'],
        summary: 'Tickets and articles, the nearest first, by words and by meaning; then what holds all the words',
        querystring: z.object({
          q: z.string().trim().min(1).max(Q_LIMIT).describe('Words, or a sentence'),
          limit: z.coerce.number<string>().int().min(1).max(50).default(10),
        }),
        response: { 200: Answer, ...Errors },
      },
    },
    async ({ query: { q, limit } }) => {
      const [near, exact] = await Promise.all([nearest(q, limit), holding(q, limit)])
      const seen = new Set(near.hits.map(keyOf))
      const hits = [...near.hits, ...exact.filter((hit) => !seen.has(keyOf(hit)))]
      return {
        hits: hits.slice(0, limit),
        by: near.note === null ? ('likeness' as const) : ('words' as const),
        note: near.note,
      }
    },
  )

  async function nearest(q: string, limit: number): Promise<{ hits: Hit[]; note: string | null }> {
    if (triage === null) return { hits: [], note: 'Triage is not on, so that only whole words are found' }
    try {
      const { tickets, articles } = await triage.search(q, limit)
      const found = await Promise.all(
        tickets.map(async ({ id, score }) => {
          const ticket = await store.ticket(id)
          return ticket === null ? [] : [ticketHit(ticket, q, score)]
        }),
      )
      const hits = [...found.flat(), ...articles.map((article) => articleHit(article, q))]
      return { hits: hits.toSorted((one, other) => (other.score ?? 0) - (one.score ?? 0)), note: null }
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      return { hits: [], note: `${error.message}; only whole words are found` }
    }
  }

  /** What holds all the words, also tickets too old to be compared: the newest of each in turn. */
  async function holding(q: string, limit: number): Promise<Hit[]> {
    const [tickets, articles] = await Promise.all([
      store.tickets({ q, limit }),
      store.articleStore.articles({ q, limit }),
    ])
    const found: Hit[][] = [
      articles.map(({ id, title, source }) => ({
        kind: 'article',
        id,
        title,
        excerpt: '',
        score: null,
        status: null,
        source,
      })),
      tickets.map((ticket) => ticketHit(ticket, q, null)),
    ]
    return Array.from({ length: limit }, (_, at) => found.flatMap((hits) => hits[at] ?? [])).flat()
  }
}

const keyOf = ({ kind, id }: Hit) => `${kind}${id}`

const ticketHit = ({ id, title, description, status }: Ticket, q: string, score: number | null): Hit => ({
  kind: 'ticket',
  id,
  title,
  excerpt: excerptOf(description, q),
  score,
  status,
  source: null,
})

const articleHit = ({ id, title, source, score, chunk }: FoundArticle, q: string): Hit => ({
  kind: 'article',
  id,
  title,
  excerpt: excerptOf(chunk.text, q),
  score,
  status: null,
  source,
})
