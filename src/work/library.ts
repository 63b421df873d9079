import { ARTICLE_LIMIT, articleHash, type ArticleFormat, formatOf, titleOf } from '../core/article.ts'
import { fail } from '../core/errors.ts'
import { wellFormed } from '../core/text.ts'
import type { ArticleStore } from '../store/store.ts'
import type { Chunker } from '../triage/chunker.ts'

/** An article as somebody hands it in. Without a title it is called what it calls itself. */
export type GivenArticle = {
  source: string | null
  title: string | null
  /** By the ending of its source unless given, else Markdown. */
  format: ArticleFormat | null
  labels: readonly string[]
  body: string
}
export type ArticleChange = { [Field in 'title' | 'format' | 'labels' | 'body']?: GivenArticle[Field] | undefined }

export type Saved = { id: number; outcome: 'created' | 'updated' | 'unchanged' }

export type Library = ReturnType<typeof createLibrary>

/** Makes and changes articles, cut into the pieces that are found. Throws AppError. */
export function createLibrary({ store, chunker }: { store: ArticleStore; chunker: Pick<Chunker, 'chunks'> }) {
  async function save(given: GivenArticle, by: { at: number; id?: number }): Promise<Saved | null> {
    const body = wellFormed(given.body)
    if (body.trim() === '') fail('malformed', 'body: An article needs a text')
    if (body.length > ARTICLE_LIMIT) fail('malformed', `body: An article may be ${ARTICLE_LIMIT} characters long`)
    const source = given.source === null ? null : wellFormed(given.source)
    const format = given.format ?? formatOf(source ?? '') ?? 'markdown'
    const title = wellFormed(given.title?.trim() || titleOf({ body, format, source }))
    const text = { title, format, labels: [...new Set(given.labels.map(wellFormed))], body }
    const chunks = await chunker.chunks(text)
    return store.saveArticle({ ...text, source, sha256: articleHash(text), chunks }, by)
  }

  return {
    /** Makes it, or replaces the one of the same source. */
    add: async (given: GivenArticle, at: number): Promise<Saved> =>
      (await save(given, { at })) ?? fail('not_found', 'No such article'), // never: no number was named
    change: async (id: number, change: ArticleChange, at: number): Promise<Saved> => {
      const { source, title, format, labels, body } = (await store.article(id)) ?? fail('not_found', `No article ${id}`)
      const given = {
        source,
        title: change.title ?? title,
        format: change.format ?? format,
        labels: change.labels ?? labels,
        body: change.body ?? body,
      }
      return (await save(given, { at, id })) ?? fail('not_found', `No article ${id}`)
    },
    find: async (id: number) => (await store.article(id)) ?? fail('not_found', `No article ${id}`),
    list: store.articles,
    from: (source: string) => store.articleFrom(wellFormed(source)),
    remove: async (id: number): Promise<void> => {
      if (!(await store.removeArticle(id))) fail('not_found', `No article ${id}`)
    },
  }
}
