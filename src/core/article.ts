import { hash } from 'node:crypto'

import { excerptOf } from './excerpt.ts'
import { clip, TITLE_LIMIT, wellFormed } from './text.ts'

export const ARTICLE_FORMATS = ['markdown', 'html', 'text'] as const
export type ArticleFormat = (typeof ARTICLE_FORMATS)[number]

/** In UTF-16 units: a book, not an article. */
export const ARTICLE_LIMIT = 1_000_000
/** How many there may be: each is in the memory of every node, in pieces. */
export const ARTICLES_LIMIT = 5000
export const SOURCE_LIMIT = 500
export const LABELS_LIMIT = 20
export const LABEL_LIMIT = 60

/** A piece of an article that a reader understands by itself, under the headings it stands below. */
export type Chunk = { heading: string; text: string }

/** What somebody wrote down so that it need not be answered twice. */
export type ArticleText = {
  title: string
  format: ArticleFormat
  labels: readonly string[]
  /** As it was given. */
  body: string
}

/** As the store takes it. `source` is where it comes from, a path or an address: the same one replaces it. */
export type NewArticle = ArticleText & { source: string | null; sha256: string; chunks: readonly Chunk[] }

export type Article = {
  id: number
  source: string | null
  title: string
  format: ArticleFormat
  labels: string[]
  /** Of the body, in UTF-16 units. */
  size: number
  /** How its text begins, without markup. */
  opening: string
  /** Of all that it says: another hash is another article. */
  sha256: string
  /** ms since the epoch */
  createdAt: number
  updatedAt: number
}

export type WholeArticle = Article & { body: string }

/** As the API and the command line show it. */
export const shownArticle = ({ id, source, title, format, labels, size, opening, createdAt, updatedAt }: Article) => ({
  id,
  source,
  title,
  format,
  labels,
  size,
  excerpt: excerptOf(opening),
  created_at: new Date(createdAt).toISOString(),
  updated_at: new Date(updatedAt).toISOString(),
})

export const articleHash = ({ title, format, labels, body }: ArticleText): string =>
  hash('sha256', JSON.stringify([title, format, labels, body]))

const FRONT_MATTER = /^---[ \t]*\r?\n([^]{0,10000}?)\r?\n---[ \t]*(?:\r?\n|$)/
const FENCE = /^\s{0,3}(?:```|~~~)/

/** A Markdown text without the settings that other programs keep at its top. */
export const withoutFrontMatter = (body: string): string => body.replace(FRONT_MATTER, '')

/**
 * What an article is called that says so itself: in its front matter, in its first heading (or its `<title>`), by the name
 * of its file, or else by its first line.
 */
export function titleOf({ body, format, source }: Pick<NewArticle, 'body' | 'format' | 'source'>): string {
  const said = format === 'markdown' ? markdownTitle(body) : format === 'html' ? htmlTitle(body) : null
  return tidy(said ?? '') || tidy(nameOf(source)) || tidy(body.trim().split('\n', 1)[0] ?? '') || 'Untitled'
}

const tidy = (text: string): string => clip(wellFormed(text).replaceAll(/\s+/g, ' ').trim(), TITLE_LIMIT)

function markdownTitle(body: string): string | null {
  const settings = FRONT_MATTER.exec(body)?.[1] ?? ''
  const named = /^title:[ \t]*(?:"([^"\n]+)"|'([^'\n]+)'|([^\n#]+))/m.exec(settings)
  const title = named?.[1] ?? named?.[2] ?? named?.[3]
  if (title?.trim()) return title
  let isCode = false
  for (const line of withoutFrontMatter(body).split('\n')) {
    if (FENCE.test(line)) isCode = !isCode
    const heading = isCode ? null : /^ {0,3}#{1,6}[ \t]+(.+)$/.exec(line)?.[1]
    if (heading) return heading.replace(/[ \t]#+[ \t\r]*$/, '').replaceAll(/[*_`]/g, '')
  }
  return null
}

function htmlTitle(body: string): string | null {
  const opened = /<(?:h1|title)\b[^<>]{0,1000}>/i.exec(body)
  if (opened === null) return null
  const after = opened.index + opened[0].length
  const [title = ''] = body.slice(after, after + 2000).split(/<\/(?:h1|title)\b/i, 1)
  return title.replaceAll(/<[^<>]*>/g, ' ').replaceAll(/&[a-z#\d]{1,10};/gi, ' ')
}

/** `docs/reset-password.md` is about “reset password”. */
function nameOf(source: string | null): string {
  const last = (source ?? '').split(/[\\/]/).at(-1)?.split(/[?#]/, 1)[0] ?? ''
  return last.replace(/\.[a-z\d]{1,10}$/i, '').replaceAll(/[-_]+/g, ' ')
}

const FORMATS: Readonly<Record<string, ArticleFormat>> = {
  md: 'markdown',
  markdown: 'markdown',
  html: 'html',
  htm: 'html',
  txt: 'text',
}

/** By the ending of a file's name; null for a file that is no article. */
export const formatOf = (path: string): ArticleFormat | null =>
  FORMATS[/\.([a-z]+)$/i.exec(path)?.[1]?.toLowerCase() ?? ''] ?? null
