import { z } from 'zod'

import {
  type Article,
  ARTICLE_FORMATS,
  ARTICLE_LIMIT,
  LABEL_LIMIT,
  LABELS_LIMIT,
  shownArticle,
  SOURCE_LIMIT,
} from '../core/article.ts'
import { TITLE_LIMIT } from '../core/text.ts'
import type { Library, Saved } from '../work/library.ts'
import type { App } from './fastify.ts'
import { Errors, Id, page, words } from './schemas.ts'

const fields = {
  title: z.string().trim().min(1).max(TITLE_LIMIT),
  format: z.enum(ARTICLE_FORMATS),
  labels: z.array(z.string().trim().min(1).max(LABEL_LIMIT)).max(LABELS_LIMIT),
  body: z.string().min(1).max(ARTICLE_LIMIT),
}

const NewArticle = z
  .strictObject({
    source: z
      .string()
      .trim()
      .min(1)
      .max(SOURCE_LIMIT)
      .optional()
      .describe('Where it comes from, a path or an address; the same one again replaces the article'),
    title: fields.title.optional().describe('What it calls itself where none is given: its first heading, its file'),
    format: fields.format.optional().describe('By the ending of its source unless given, else markdown'),
    labels: fields.labels.default([]),
    body: fields.body,
  })
  .meta({ id: 'NewArticle' })

const Change = z
  .strictObject({
    title: fields.title.optional(),
    format: fields.format.optional(),
    labels: fields.labels.optional(),
    body: fields.body.optional(),
  })
  .refine((change) => Object.keys(change).length > 0, 'Nothing to change: give title, format, labels or body')
  .meta({ id: 'ArticleChange' })

const Listed = z
  .object({
    id: z.int(),
    source: z.string().nullable(),
    title: z.string(),
    format: z.enum(ARTICLE_FORMATS),
    labels: z.array(z.string()),
    size: z.int().describe('Characters of the body'),
    excerpt: z.string().describe('How its text begins, without markup'),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'Article' })
const Whole = Listed.extend({ body: z.string() }).meta({ id: 'ArticleWithBody' })
const SavedArticle = Listed.extend({ outcome: z.enum(['created', 'updated', 'unchanged']) }).meta({
  id: 'SavedArticle',
})

const shownSaved = (article: Article, { outcome }: Saved) => ({ ...shownArticle(article), outcome })

/** The knowledge base: what is written down so that it need not be answered twice. */
export const articleRoutes = (library: Library) => async (app: App) => {
  const tags = ['articles']

  app.get(
    '/articles',
    {
      schema: {
        tags,
        summary: 'Articles, newest first, without their bodies',
        querystring: z.object({
          q: words,
          source: z.string().max(SOURCE_LIMIT).optional().describe('The one that comes from there, if there is one'),
          ...page,
        }),
        response: { 200: z.object({ articles: z.array(Listed), next: z.string().nullable() }), ...Errors },
      },
    },
    async ({ query: { q, source, limit, cursor } }) => {
      if (source !== undefined) {
        const id = await library.from(source)
        return { articles: id === null ? [] : [shownArticle(await library.find(id))], next: null }
      }
      const found = await library.list({ q, before: cursor, limit: limit + 1 })
      const articles = found.slice(0, limit)
      return { articles: articles.map(shownArticle), next: found.length > limit ? `${articles.at(-1)?.id}` : null }
    },
  )

  app.get(
    '/articles/:id',
    { schema: { tags, summary: 'One article', params: Id, response: { 200: Whole, ...Errors } } },
    async ({ params: { id } }) => {
      const article = await library.find(id)
      return { ...shownArticle(article), body: article.body }
    },
  )

  app.post(
    '/articles',
    {
      schema: {
        tags,
        summary: 'Add an article, or replace the one of the same source',
        body: NewArticle,
        response: { 200: SavedArticle, 201: SavedArticle, ...Errors },
      },
    },
    async ({ body: { source = null, title = null, format = null, ...given } }, reply) => {
      const made = await library.add({ ...given, source, title, format }, Date.now())
      if (made.outcome === 'created') reply.code(201).header('location', `/api/articles/${made.id}`)
      return shownSaved(await library.find(made.id), made)
    },
  )

  app.patch(
    '/articles/:id',
    {
      schema: {
        tags,
        summary: 'Change an article: what is given is set, all else stays',
        params: Id,
        body: Change,
        response: { 200: SavedArticle, ...Errors },
      },
    },
    async ({ params: { id }, body }) => {
      const made = await library.change(id, body, Date.now())
      return shownSaved(await library.find(id), made)
    },
  )

  app.delete(
    '/articles/:id',
    { schema: { tags, summary: 'Remove an article', params: Id, response: { 204: z.null(), ...Errors } } },
    async ({ params: { id } }, reply) => {
      await library.remove(id)
      return reply.code(204).send(null)
    },
  )
}
