import type { ArticleStore, FoundChunk } from '../store/store.ts'
import type { Found } from '../triage/finder.ts'

/** An article by the piece of it that is nearest to what was asked. */
export type FoundArticle = {
  id: number
  title: string
  source: string | null
  score: number
  chunk: Pick<FoundChunk, 'id' | 'heading' | 'text'>
}

/** So many pieces are looked at for each article that is wanted: several of one article count once. */
export const CHUNKS_AN_ARTICLE = 4

/** The articles of these pieces, the nearest first, each once. What was removed meanwhile is left out. */
export async function articlesOf(
  store: Pick<ArticleStore, 'foundChunks'>,
  found: readonly Pick<Found, 'id' | 'score'>[],
  limit: number,
): Promise<FoundArticle[]> {
  if (found.length === 0) return []
  const chunks = new Map((await store.foundChunks(found.map(({ id }) => id))).map((chunk) => [chunk.id, chunk]))
  const articles = new Map<number, FoundArticle>()
  for (const { id, score } of found) {
    const chunk = chunks.get(id)
    if (chunk === undefined || articles.has(chunk.articleId)) continue
    const { articleId, title, source, heading, text } = chunk
    articles.set(articleId, { id: articleId, title, source, score, chunk: { id, heading, text } })
  }
  return [...articles.values()].slice(0, limit)
}
