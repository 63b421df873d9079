import {
  type Article,
  articleHash,
  type ArticleFormat,
  ARTICLES_LIMIT,
  type Chunk,
  type NewArticle,
  type WholeArticle,
} from '../core/article.ts'
import type { Eraser } from '../core/erasure.ts'
import { AppError } from '../core/errors.ts'
import { textOrNull } from './rows.ts'
import type { ArticleVersion, FoundChunk, StoredChunk } from './store.ts'
import { type Asked, askedIn, wordsIn } from './words.ts'

// What articles are in every engine: what is asked of a row, what is written of one, and what may be.

type Row = Record<string, unknown>

/** The columns of articleOf. */
export const ARTICLE = `id, source, title, format, labels, sha256, size, created_at, updated_at,
  (select substr(c.text, 1, 300) from chunks c where c.article_id = articles.id order by c.id limit 1) as opening`

export const articleOf = (row: Row): Article => ({
  id: Number(row['id']),
  source: textOrNull(row['source']),
  title: String(row['title']),
  format: row['format'] as ArticleFormat, // the store's own word
  labels: JSON.parse(String(row['labels'])) as string[], // written by the store alone
  size: Number(row['size']),
  sha256: String(row['sha256']),
  opening: textOrNull(row['opening']) ?? '',
  createdAt: Number(row['created_at']),
  updatedAt: Number(row['updated_at']),
})

export const wholeArticleOf = (row: Row): WholeArticle => ({ ...articleOf(row), body: String(row['body']) })

export const versionOf = (row: Row): ArticleVersion => ({ id: Number(row['id']), sha256: String(row['sha256']) })

export function chunkOf(row: Row): StoredChunk {
  const { id, heading, text, vector } = row
  // A copy: a driver cuts rows out of a buffer that all of them share.
  const bytes = vector === null ? null : Uint8Array.from(vector as Uint8Array)
  return {
    id: Number(id),
    heading: String(heading),
    text: String(text),
    vector: bytes && new Int8Array(bytes.buffer),
  }
}

/** The columns of foundChunkOf, of chunks c and articles a. */
export const FOUND_CHUNK = 'c.id, c.article_id, c.heading, c.text, a.title, a.source'

export const foundChunkOf = (row: Row): FoundChunk => ({
  id: Number(row['id']),
  articleId: Number(row['article_id']),
  title: String(row['title']),
  source: textOrNull(row['source']),
  heading: String(row['heading']),
  text: String(row['text']),
})

/** What is written of an article, beside its times. */
export const columnsOf = ({ source, title, format, labels, sha256, body, chunks }: NewArticle) => ({
  source,
  title,
  format,
  labels: JSON.stringify(labels),
  sha256,
  size: body.length,
  words: articleWords({ title, labels, chunks }),
  body,
})

/** With a space before and after each, so that a whole word can be looked for. */
const articleWords = ({ title, labels, chunks }: Pick<NewArticle, 'title' | 'labels' | 'chunks'>): string =>
  ` ${wordsIn(textsOf(title, labels, chunks)).join(' ')} `

function* textsOf(title: string, labels: readonly string[], chunks: readonly Chunk[]): Generator<string> {
  yield title
  yield* labels
  for (const { heading, text } of chunks) yield `${heading} ${text}`
}

/** The words of a search; empty where nobody searches, null where there is no word to search for. */
export function searchIn(q: string | undefined): Asked[] | null {
  const asked = (q ?? '').split(/\s+/u).flatMap(askedIn)
  return q !== undefined && asked.length === 0 ? null : asked
}

/** Throws AppError `conflict` where there is no room for one more. */
export function assertRoom(count: number): void {
  if (count < ARTICLES_LIMIT) return
  throw new AppError('conflict', `There are ${ARTICLES_LIMIT} articles, and there may be no more; remove some first`)
}

/** An article and its pieces as the store has them. */
export type ArticleRows = { article: WholeArticle; chunks: (Chunk & { id: number })[] }

/** An article without what it says of a person; null when it says nothing. A piece that changed loses its vector. */
export function erasedArticle({ article, chunks }: ArticleRows, eraser: Eraser) {
  const { source, title, labels, body, format } = article
  const isTold = [source ?? '', title, ...labels, body].some(eraser.isWithin)
  const pieces = chunks.flatMap((chunk) => {
    const { id, heading, text } = chunk
    const without = { id, heading: eraser.without(heading, true), text: eraser.without(text, true) }
    return without.heading === heading && without.text === text ? [] : without
  })
  if (!isTold && pieces.length === 0) return null
  const said = {
    title: eraser.without(title, true),
    labels: labels.map((label) => eraser.without(label, true)),
    body: eraser.without(body, true),
    format,
  }
  const changed = new Map(pieces.map((piece) => [piece.id, piece]))
  const left = chunks.map((chunk) => changed.get(chunk.id) ?? chunk)
  // Two places that hold the address must not become the same one.
  const place = source !== null && eraser.isWithin(source) ? `${eraser.without(source, true)}#${article.id}` : source
  return {
    columns: columnsOf({ ...said, source: place, sha256: articleHash(said), chunks: left }),
    pieces,
  }
}
