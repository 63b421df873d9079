import type { DatabaseSync } from 'node:sqlite'

import type { Article, WholeArticle } from '../core/article.ts'
import { AppError } from '../core/errors.ts'
import {
  ARTICLE,
  articleOf,
  assertRoom,
  chunkOf,
  columnsOf,
  FOUND_CHUNK,
  foundChunkOf,
  searchIn,
  versionOf,
  wholeArticleOf,
} from './articles.ts'
import { inTransaction, openStore, prepareDirectory, storePath } from './sqlite-files.ts'
import { createWatch, type Watch } from './sqlite-watch.ts'
import { isDiskFault } from './sqlite-writer.ts'
import type { ArticleQuery, ArticleReader, ArticleStore, ArticleVersion, FoundChunk, StoredChunk } from './store.ts'

const NEWEST = Number.MAX_SAFE_INTEGER

/** What is asked about articles. */
export function articleQueries(db: DatabaseSync) {
  const sql = {
    newest: db.prepare(`select ${ARTICLE} from articles where id < ? order by id desc limit ?`),
    article: db.prepare(`select ${ARTICLE}, body from articles where id = ?`),
    from: db.prepare('select id from articles where source = ?'),
    versions: db.prepare('select id, sha256 from articles order by id'),
    chunks: db.prepare(`
      select id, heading, text, iif(model = ?2, vector, null) as vector from chunks where article_id = ?1 order by id`),
    chunk: db.prepare(`select ${FOUND_CHUNK} from chunks c join articles a on a.id = c.article_id where c.id = ?`),
  }

  function articles({ q, before = NEWEST, limit }: ArticleQuery): Article[] {
    const asked = searchIn(q)
    if (asked === null) return []
    if (asked.length === 0) return sql.newest.all(before, limit).map(articleOf)
    // As many conditions as there are words; all else is bound.
    const where = asked.map(() => 'instr(words, ?) > 0').join(' and ')
    return db
      .prepare(`select ${ARTICLE} from articles where id < ? and ${where} order by id desc limit ?`)
      .all(before, ...asked.map(({ word, isPrefix }) => (isPrefix ? ` ${word}` : ` ${word} `)), limit)
      .map(articleOf)
  }

  return {
    articles,
    article: (id: number): WholeArticle | null => {
      const row = sql.article.get(id)
      return row === undefined ? null : wholeArticleOf(row)
    },
    articleFrom: (source: string): number | null => {
      const row = sql.from.get(source)
      return row === undefined ? null : Number(row['id'])
    },
    versions: (): ArticleVersion[] => sql.versions.all().map(versionOf),
    chunks: (articleId: number, model: string | null): StoredChunk[] => sql.chunks.all(articleId, model).map(chunkOf),
    foundChunks: (ids: readonly number[]): FoundChunk[] =>
      ids.flatMap((id) => {
        const row = sql.chunk.get(id)
        return row === undefined ? [] : foundChunkOf(row)
      }),
  }
}

/**
 * What changes articles. Short commits of their own, because the command line changes them while the server runs; a
 * server reads on another thread, so that no sender waits for a search.
 */
export function createArticles(db: DatabaseSync, watch: Watch, reader: ArticleReader): ArticleStore {
  const sql = {
    byId: db.prepare('select id, sha256 from articles where id = ?'),
    bySource: db.prepare('select id, sha256 from articles where source = ?'),
    count: db.prepare('select count(*) as count from articles'),
    insert: db.prepare(`
      insert into articles (source, title, format, labels, sha256, size, words, body, created_at, updated_at)
      values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),
    update: db.prepare(`
      update articles set title = ?, format = ?, labels = ?, sha256 = ?, size = ?, words = ?, body = ?, updated_at = ?
      where id = ?`),
    remove: db.prepare('delete from articles where id = ?'),
    insertChunk: db.prepare('insert into chunks (article_id, heading, text) values (?, ?, ?)'),
    removeChunks: db.prepare('delete from chunks where article_id = ?'),
    saveVector: db.prepare('update chunks set model = ?, vector = ? where id = ?'),
  }

  function commit<T>(work: () => T): T {
    try {
      return inTransaction(db, work)
    } catch (error) {
      if (!isDiskFault(error)) throw error
      throw new AppError('unavailable', `The store cannot commit: ${error instanceof Error ? error.message : ''}`)
    }
  }

  return {
    ...reader,
    saveArticle: async (article, { at, id }) => {
      const saved = commit(() => {
        const found =
          id !== undefined ? sql.byId.get(id) : article.source === null ? undefined : sql.bySource.get(article.source)
        if (id !== undefined && found === undefined) return null
        if (found?.['sha256'] === article.sha256) return { id: Number(found['id']), outcome: 'unchanged' as const }
        const { source, title, format, labels, sha256, size, words, body } = columnsOf(article)
        const said = [title, format, labels, sha256, size, words, body] as const
        let number = Number(found?.['id'])
        if (found === undefined) {
          assertRoom(Number(sql.count.get()?.['count']))
          number = Number(sql.insert.run(source, ...said, at, at).lastInsertRowid)
        } else {
          sql.update.run(...said, at, number)
          sql.removeChunks.run(number)
        }
        for (const { heading, text } of article.chunks) sql.insertChunk.run(number, heading, text)
        return { id: number, outcome: found === undefined ? ('created' as const) : ('updated' as const) }
      })
      if (saved !== null && saved.outcome !== 'unchanged') watch.changed()
      return saved
    },
    removeArticle: async (id) => {
      const isGone = commit(() => {
        sql.removeChunks.run(id)
        return Number(sql.remove.run(id).changes) === 1
      })
      if (isGone) watch.changed()
      return isGone
    },
    saveChunkVectors: async (model, vectors) =>
      commit(() => {
        for (const [id, vector] of vectors) sql.saveVector.run(model, new Uint8Array(vector.buffer), id)
      }),
    onArticlesChanged: watch.subscribe,
  }
}

/** The articles of a data directory, whether a server runs on it or not. Throws StoreError. */
export function openSqliteArticles(directory: string): ArticleStore & { close: () => void } {
  prepareDirectory(directory)
  const db = openStore(storePath(directory))
  const asked = articleQueries(db)
  const reader: ArticleReader = {
    articles: async (query) => asked.articles(query),
    article: async (id) => asked.article(id),
    articleFrom: async (source) => asked.articleFrom(source),
    versions: async () => asked.versions(),
    chunks: async (articleId, model) => asked.chunks(articleId, model),
    foundChunks: async (ids) => asked.foundChunks(ids),
  }
  return { ...createArticles(db, createWatch(db), reader), close: () => db.close() }
}
