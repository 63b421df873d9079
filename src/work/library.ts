import {
  ARTICLE_LIMIT,
  articleHash,
  type ArticleFormat,
  formatOf,
  LABEL_LIMIT,
  LABELS_LIMIT,
  SOURCE_LIMIT,
  titleOf,
} from '../core/article.ts'
import { fail } from '../core/errors.ts'
import { TITLE_LIMIT, wellFormed } from '../core/text.ts'
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
    assertBounds(given)
    const body = wellFormed(given.body)
    const source = given.source === null ? null : wellFormed(given.source)
    const format = given.format ?? formatOf(source ?? '') ?? 'markdown'
    const title = wellFormed(given.title?.trim() || titleOf({ body, format, source }))
    const text = { title, format, labels: [...new Set(given.labels.map(wellFormed))], body }
    const sha256 = articleHash(text)
    // The store would say so as well, but only after it was cut: most of a folder is as it was.
    const known = by.id ?? (source === null ? null : await store.articleFrom(source))
    if (known !== null && (await store.article(known))?.sha256 === sha256) return { id: known, outcome: 'unchanged' }
    return store.saveArticle({ ...text, source, sha256, chunks: await chunker.chunks(text) }, by)
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

/** What the API's schemas say too, for whoever comes by another way. */
function assertBounds({ source, title, labels, body }: GivenArticle): void {
  if (body.trim() === '') fail('malformed', 'body: An article needs a text')
  if (body.length > ARTICLE_LIMIT) fail('malformed', `body: It may be ${ARTICLE_LIMIT} characters long`)
  if ((source ?? '').length > SOURCE_LIMIT) fail('malformed', `source: It may be ${SOURCE_LIMIT} characters long`)
  if ((title ?? '').length > TITLE_LIMIT) fail('malformed', `title: It may be ${TITLE_LIMIT} characters long`)
  if (labels.length > LABELS_LIMIT || labels.some((label) => label.length > LABEL_LIMIT)) {
    fail('malformed', `labels: ${LABELS_LIMIT} of ${LABEL_LIMIT} characters at most`)
  }
}
