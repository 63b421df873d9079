// Articles, and what is found among them and tickets.
import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query'

import { api, query } from './client.ts'
import type { Status } from './types.ts'

export type Article = {
  id: number
  /** Where it comes from; null for one that was typed in. */
  source: string | null
  title: string
  format: 'markdown' | 'html' | 'text'
  labels: string[]
  size: number
  created_at: string
  updated_at: string
}
export type WholeArticle = Article & { body: string }
export type SavedArticle = Article & { outcome: 'created' | 'updated' | 'unchanged' }
type ArticlePage = { articles: Article[]; next: string | null }

export const articlesQuery = (q: string | undefined) =>
  infiniteQueryOptions({
    queryKey: ['articles', 'list', q ?? ''],
    queryFn: ({ pageParam, signal }) =>
      api<ArticlePage>(`/api/articles${query({ q, cursor: pageParam, limit: 50 })}`, { signal }),
    initialPageParam: null as string | null,
    getNextPageParam: ({ next }) => next,
  })

export const articleQuery = (id: number) =>
  queryOptions({
    queryKey: ['articles', id],
    queryFn: ({ signal }) => api<WholeArticle>(`/api/articles/${id}`, { signal }),
  })

export type Hit = {
  kind: 'ticket' | 'article'
  id: number
  title: string
  excerpt: string
  score: number | null
  status: Status | null
  source: string | null
}

/** Tickets and articles, the nearest first. */
export const searchQuery = (q: string) =>
  queryOptions({
    queryKey: ['search', q],
    queryFn: ({ signal }) =>
      api<{ hits: Hit[]; note: string | null }>(`/api/search${query({ q, limit: 8 })}`, { signal }),
    enabled: q.length > 1,
    placeholderData: keepPreviousData,
  })
