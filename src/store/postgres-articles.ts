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
import type { Bus } from './postgres-bus.ts'
import { ask, askPlanned, type Client, fault, type Pool, query, transaction } from './postgres-connect.ts'
import { queryOf, WORDS } from './postgres-words.ts'
import type { NewArticle } from '../core/article.ts'
import type { ArticleStore } from './store.ts'

const CHANGED = 'articles'
const NEWEST = Number.MAX_SAFE_INTEGER

/** Tells every node that articles changed. */
export const tellArticles = (bus: Pick<Bus, 'publish'>) => bus.publish(CHANGED)

/** The articles of a database; asked over `reading`, changed over `writing`. */
export function createPostgresArticles(
  { reading, writing }: { reading: Pool; writing: Pool },
  bus: Pick<Bus, 'publish' | 'subscribe'>,
): ArticleStore {
  return {
    articles: async ({ q, before = NEWEST, limit }) => {
      const asked = searchIn(q)
      if (asked === null) return []
      const rows = await askPlanned(
        reading,
        `select ${ARTICLE} from articles where id < $1 ${asked.length === 0 ? '' : 'and words @@ $3::tsquery'}
         order by id desc limit $2`,
        [before, limit, ...(asked.length === 0 ? [] : [queryOf(asked)])],
      )
      return rows.map(articleOf)
    },
    article: async (id) => {
      const [row] = await ask(reading, `select ${ARTICLE}, body from articles where id = $1`, [id])
      return row === undefined ? null : wholeArticleOf(row)
    },
    articleFrom: async (source) => {
      const [row] = await ask(reading, 'select id from articles where source = $1', [source])
      return row === undefined ? null : Number(row['id'])
    },
    versions: async () => (await ask(reading, 'select id, sha256 from articles order by id')).map(versionOf),
    chunks: async (articleId, model) =>
      (
        await ask(
          reading,
          `select id, heading, text, case when model = $2 then vector end as vector
           from chunks where article_id = $1 order by id`,
          [articleId, model],
        )
      ).map(chunkOf),
    foundChunks: async (ids) =>
      (
        await ask(
          reading,
          `select ${FOUND_CHUNK} from chunks c join articles a on a.id = c.article_id where c.id = any($1::bigint[])`,
          [ids],
        )
      ).map(foundChunkOf),
    saveArticle: async (article, by) => {
      const saved = await changed(writing, (client) => save(client, article, by))
      if (saved !== null && saved.outcome !== 'unchanged') await tellArticles(bus)
      return saved
    },
    removeArticle: async (id) => {
      const isGone = await changed(writing, async (client) => {
        await query(client, 'delete from chunks where article_id = $1', [id])
        return (await query(client, 'delete from articles where id = $1 returning 1', [id])).length === 1
      })
      if (isGone) await tellArticles(bus)
      return isGone
    },
    saveChunkVectors: async (model, vectors) => {
      await ask(
        writing,
        `update chunks c set model = $2, vector = v.vector
         from unnest($1::bigint[], $3::bytea[]) v (id, vector) where c.id = v.id`,
        [[...vectors.keys()], model, Array.from(vectors.values(), (vector) => Buffer.from(vector.buffer))],
      )
    },
    onArticlesChanged: (listener) => bus.subscribe(CHANGED, listener),
  }
}

async function changed<T>(pool: Pool, work: (client: Client) => Promise<T>): Promise<T> {
  try {
    return await transaction(pool, async (client) => {
      // One at a time: who comes second sees what the first has made, and nobody makes one too many.
      await query(client, 'lock table articles in share row exclusive mode')
      return work(client)
    })
  } catch (error) {
    throw fault(error)
  }
}

async function save(client: Client, article: NewArticle, { at, id: named }: { at: number; id?: number }) {
  const [found] = await query(
    client,
    `select id, sha256 from articles where ${named === undefined ? 'source' : 'id'} = $1`,
    [named ?? article.source],
  )
  if (named !== undefined && found === undefined) return null
  if (found?.['sha256'] === article.sha256) return { id: Number(found['id']), outcome: 'unchanged' as const }
  const { source, title, format, labels, sha256, size, words, body } = columnsOf(article)
  const said = [title, format, labels, sha256, size, words, body, at]
  const [row] =
    found === undefined
      ? await insert(client, [source, ...said])
      : await query(
          client,
          `update articles set title = $1, format = $2, labels = $3, sha256 = $4, size = $5, words = ${WORDS('$6')},
             body = $7, updated_at = $8 where id = $9 returning id`,
          [...said, found['id']],
        )
  const id = Number(row?.['id'])
  await query(client, 'delete from chunks where article_id = $1', [id])
  await query(
    client,
    `insert into chunks (article_id, heading, text)
     select $1, heading, text from unnest($2::text[], $3::text[]) with ordinality c (heading, text, n) order by n`,
    [id, article.chunks.map(({ heading }) => heading), article.chunks.map(({ text }) => text)],
  )
  return { id, outcome: found === undefined ? ('created' as const) : ('updated' as const) }
}

async function insert(client: Client, values: unknown[]) {
  const [row] = await query(client, 'select count(*) as count from articles')
  assertRoom(Number(row?.['count']))
  return query(
    client,
    `insert into articles (source, title, format, labels, sha256, size, words, body, created_at, updated_at)
     values ($1, $2, $3, $4, $5, $6, ${WORDS('$7')}, $8, $9, $9) returning id`,
    values,
  )
}
