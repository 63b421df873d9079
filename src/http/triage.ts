import { z } from 'zod'

import { Category, Decision, isPriority, TRIAGE_FIELDS, TriageSettings } from '../core/decision.ts'
import { fail } from '../core/errors.ts'
import { excerptOf } from '../core/excerpt.ts'
import type { Jobs } from '../core/jobs.ts'
import { STATUSES, type Ticket } from '../core/ticket.ts'
import type { Store } from '../store/store.ts'
import { articlesOf, type FoundArticle } from '../work/found-articles.ts'
import type { Triage } from '../work/triage.ts'
import type { App } from './fastify.ts'
import { Errors, Id } from './schemas.ts'

const WEEK_MS = 7 * 86_400_000

const Similar = z
  .object({ id: z.int(), title: z.string(), status: z.enum(STATUSES), score: z.number().min(0).max(1) })
  .meta({ id: 'SimilarTicket' })

const SimilarArticle = z
  .object({
    id: z.int(),
    title: z.string(),
    source: z.string().nullable().describe('Where it comes from'),
    excerpt: z.string().describe('Of the piece that is nearest'),
    score: z.number().min(0).max(1),
  })
  .meta({ id: 'SimilarArticle' })

/** As GET /api/tickets/:id shows it: with the tickets and articles that it names as they are called now. */
export const ShownTriage = Decision.extend({
  similar: z.array(Similar),
  duplicates_of: Similar.nullable(),
  articles: z.array(SimilarArticle).describe('Articles that are about the same'),
}).meta({ id: 'ShownTriage' })

const Feedback = z
  .strictObject({
    field: z.enum(TRIAGE_FIELDS),
    value: z
      .string()
      .trim()
      .toLowerCase()
      .min(1)
      .max(200)
      .describe('What it is; what was suggested, where that is right'),
  })
  .refine(({ field, value }) => field !== 'priority' || isPriority(value), {
    path: ['value'],
    error: 'must be low, medium, high or urgent',
  })

const Asked = z.object({
  job: z.int().describe('The job that decides'),
  look_at: z.string().describe('Where the decision will be: `triage.decided_at` is then a later time'),
})

const Accuracy = z.object({
  field: z.enum(TRIAGE_FIELDS),
  value: z.string().describe('What people set'),
  week: z.iso.date().describe('The Monday of the week in which triage decided'),
  tickets: z.int(),
  right: z.int().describe('Of these, so many were suggested rightly'),
  sure: z.int().describe('Of so many triage was sure'),
  sure_right: z.int().describe('And was right about so many of those'),
})

const State = z.object({
  settings: TriageSettings,
  categories: z.array(Category).describe('In use: the list of the settings, or the one that is shipped'),
  engine: z.string().describe('What decides'),
  embedder: z.string().nullable().describe('What makes vectors; null for none'),
  advisor: z.string().nullable().describe('The language model, where one is set'),
  learned: z.record(z.string(), z.int()).describe('From how many tickets, by field'),
  vectors: z
    .object({ tickets: z.int(), missing: z.int() })
    .nullable()
    .describe('How many tickets can be found as similar, and of these, how many the embedder has not read yet'),
  notes: z.array(z.string()).describe('What does not work, a sentence each'),
})

/** Fills in what the tickets and articles that a decision on `id` names are called now; those that are gone are left out. */
export async function shownTriage(store: Store, id: number, json: string): Promise<string> {
  const decision = JSON.parse(json) as Decision // the store's own
  const duplicate = decision.duplicates_of
  const near = (decision.articles ?? []).map(({ chunk, score }) => ({ id: chunk, score }))
  const [similar, [duplicates_of = null], articles] = await Promise.all([
    titled(store, id, decision.similar),
    titled(store, id, duplicate === null ? [] : [duplicate]),
    articlesOf(store.articleStore, near, near.length),
  ])
  return JSON.stringify({ ...decision, similar, duplicates_of, articles: articles.map(shownArticle) })
}

const shownArticle = ({ id, title, source, score, chunk }: FoundArticle) => ({
  id,
  title,
  source,
  excerpt: excerptOf(chunk.text),
  score,
})

/** What is like the ticket `id`: each once, and in place of a merged one the ticket that stands for it. */
async function titled(store: Store, id: number, similar: Decision['similar']): Promise<z.infer<typeof Similar>[]> {
  const shown = new Map<number, z.infer<typeof Similar>>()
  const heads = await Promise.all(similar.map((one) => headOf(store, one.id)))
  for (const [index, head] of heads.entries()) {
    if (head === null || head.id === id || shown.has(head.id)) continue
    shown.set(head.id, { id: head.id, title: head.title, status: head.status, score: similar[index]?.score ?? 0 })
  }
  return [...shown.values()]
}

async function headOf(store: Store, id: number): Promise<Ticket | null> {
  const ticket = await store.ticket(id)
  return ticket?.merged ? store.ticket(ticket.merged.into) : ticket
}

/** What triage says and how right it is, and what people say to that. */
export const triageRoutes = (store: Store, triage: Triage, jobs: Pick<Jobs, 'add'>) => async (app: App) => {
  const tags = ['triage']

  app.get(
    '/tickets/:id/similar',
    {
      schema: {
        tags,
        summary: 'Tickets like this one, and articles about the same, the nearest first, by words and by meaning',
        params: Id,
        querystring: z.object({
          limit: z.coerce.number<string>().int().min(1).max(50).default(5),
          solved: z
            .enum(['true', 'false'])
            .optional()
            .describe('Only those that are resolved or closed, or only others'),
        }),
        response: {
          200: z.object({ similar: z.array(Similar), articles: z.array(SimilarArticle) }),
          ...Errors,
        },
      },
    },
    async ({ params: { id }, query: { limit, solved } }) => {
      const ticket = (await store.ticket(id)) ?? fail('not_found', `No ticket ${id}`)
      const isSolved = solved === undefined ? undefined : solved === 'true'
      const { tickets, articles } = await triage.similar(ticket, { limit, isSolved })
      return { similar: await titled(store, id, tickets), articles: articles.map(shownArticle) }
    },
  )

  app.post(
    '/tickets/:id/triage/feedback',
    {
      schema: {
        tags,
        summary: 'Say what a field of the ticket is, without changing the ticket; triage learns from it',
        params: Id,
        body: Feedback,
        response: { 200: z.object({ noted: z.literal(true) }), ...Errors },
      },
    },
    async ({ params: { id }, body: { field, value }, actor }) => {
      if (!(await store.triage.judge(id, field, value, actor))) fail('not_found', `No ticket ${id}`)
      triage.heard()
      return { noted: true as const }
    },
  )

  app.post(
    '/tickets/:id/triage',
    {
      schema: {
        tags,
        summary:
          'Ask triage for a new decision; the one before stays on record, and nothing that somebody said changes',
        params: Id,
        response: { 202: Asked, ...Errors },
      },
    },
    async ({ params: { id } }, reply) => {
      if ((await store.ticket(id)) === null) return fail('not_found', `No ticket ${id}`)
      const cause = `asked ${new Date().toISOString()}`
      // Who asks again while it waits is answered by the same decision.
      const job = await jobs.add('triage', { ticket_id: id, cause }, { key: `triage:${id}` })
      const lookAt = `/api/tickets/${id}`
      return reply.status(202).header('location', lookAt).send({ job, look_at: lookAt })
    },
  )

  app.get(
    '/triage/accuracy',
    {
      schema: {
        tags,
        summary: 'How right triage was, against what people then set, by value and week',
        querystring: z.object({ weeks: z.coerce.number<string>().int().min(1).max(520).default(12) }),
        response: { 200: z.object({ accuracy: z.array(Accuracy) }), ...Errors },
      },
    },
    async ({ query: { weeks } }) => {
      const rows = await store.triage.accuracy(Date.now() - weeks * WEEK_MS)
      return {
        accuracy: rows.map(({ field, value, week, tickets, right, sure, sureRight }) => ({
          field,
          value,
          week,
          tickets,
          right,
          sure,
          sure_right: sureRight,
        })),
      }
    },
  )

  app.get(
    '/triage',
    { schema: { tags, summary: 'What triage is set to, and what it stands on', response: { 200: State, ...Errors } } },
    () => triage.state(),
  )

  app.put(
    '/triage',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Set what triage may do, its categories and how sure it has to be',
        body: TriageSettings,
        response: { 200: State, ...Errors },
      },
    },
    async ({ body }) => {
      const names = body.categories?.map(({ name }) => name) ?? []
      if (new Set(names).size < names.length) fail('malformed', 'categories: two have the same name')
      await triage.configure(body)
      return triage.state()
    },
  )
}
