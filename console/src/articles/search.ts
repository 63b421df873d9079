/** What the list shows, as it stands in the address. */
export type ArticleSearch = { q?: string }

export function readArticleSearch(search: Record<string, unknown>): ArticleSearch {
  const { q } = search
  return typeof q === 'string' && q.trim() !== '' ? { q: q.slice(0, 500) } : {}
}
