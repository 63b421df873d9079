import { z } from 'zod'

import { readConfig } from '../config.ts'
import { ARTICLE_FORMATS, shownArticle } from '../core/article.ts'
import { openArticles } from '../store/open.ts'
import { createChunker } from '../triage/chunker.ts'
import { createLibrary, type GivenArticle, type Saved } from '../work/library.ts'
import { createApi, type ServerOptions } from './api.ts'

/** With an address, the server that listens there; else the store of this machine, whether a server runs on it or not. */
export type Where = Partial<ServerOptions>

const Listed = z.object({
  id: z.number(),
  source: z.string().nullable(),
  title: z.string(),
  format: z.enum(ARTICLE_FORMATS),
  labels: z.array(z.string()),
  size: z.number(),
  excerpt: z.string(),
  created_at: z.string(),
  updated_at: z.string(),
})
export type Listed = z.infer<typeof Listed>

const Whole = Listed.extend({ body: z.string() })
const Page = z.object({ articles: z.array(Listed), next: z.string().nullable() })
const Made = z.object({ id: z.number(), outcome: z.enum(['created', 'updated', 'unchanged']) })

export const Hits = z.object({
  hits: z.array(
    z.object({
      kind: z.enum(['ticket', 'article']),
      id: z.number(),
      title: z.string(),
      excerpt: z.string(),
      score: z.number().nullable(),
      status: z.string().nullable(),
      source: z.string().nullable(),
    }),
  ),
  note: z.string().nullable(),
})

type Articles = {
  add: (article: GivenArticle) => Promise<Saved>
  /** Newest first; those that hold all the words of `q`. */
  all: (q?: string) => AsyncGenerator<Listed>
  find: (id: number) => Promise<z.infer<typeof Whole>>
  from: (source: string) => Promise<number | null>
  remove: (id: number) => Promise<void>
  close: () => Promise<void>
}

const PAGE = 200
const TIMEOUT_S = 60

/** The articles of a store or, the same, those of a running server. Throws StoreError or AppError. */
export async function openArticlesFor({ url, key, timeout = TIMEOUT_S }: Where): Promise<Articles> {
  return url === undefined ? ofStore() : ofServer({ url, timeout, ...(key !== undefined && { key }) })
}

async function ofStore(): Promise<Articles> {
  const { close, ...store } = await openArticles(readConfig())
  const chunker = createChunker()
  const library = createLibrary({ store, chunker })
  return {
    add: (article) => library.add(article, Date.now()),
    async *all(q) {
      for (let before: number | undefined; ;) {
        const page = await library.list({ q, before, limit: PAGE })
        yield* page.map(shownArticle)
        before = page.at(-1)?.id
        if (page.length < PAGE) return
      }
    },
    find: async (id) => {
      const article = await library.find(id)
      return { ...shownArticle(article), body: article.body }
    },
    from: library.from,
    remove: library.remove,
    close: async () => {
      await chunker.close()
      await close()
    },
  }
}

function ofServer(options: ServerOptions): Articles {
  const api = createApi(options)
  return {
    add: async ({ source, title, format, ...article }) =>
      Made.parse(
        await api.post('/api/articles', {
          ...article,
          ...(source !== null && { source }),
          ...(title !== null && { title }),
          ...(format !== null && { format }),
        }),
      ),
    async *all(q) {
      for (let cursor: string | null = ''; cursor !== null;) {
        const query = new URLSearchParams({ limit: String(PAGE), ...(q && { q }), ...(cursor && { cursor }) })
        const page: z.infer<typeof Page> = Page.parse(await api.json(`/api/articles?${query}`))
        yield* page.articles
        cursor = page.next
      }
    },
    find: async (id) => Whole.parse(await api.json(`/api/articles/${id}`)),
    from: async (source) => {
      const { articles } = Page.parse(await api.json(`/api/articles?source=${encodeURIComponent(source)}`))
      return articles[0]?.id ?? null
    },
    remove: (id) => api.remove(`/api/articles/${id}`),
    close: async () => {},
  }
}
