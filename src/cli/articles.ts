import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join, normalize, sep } from 'node:path'

import { ARTICLES_LIMIT, formatOf } from '../core/article.ts'
import { AppError, fail } from '../core/errors.ts'
import type { Saved } from '../work/library.ts'
import { createApi, type ServerOptions } from './api.ts'
import { Hits, type Listed, openArticlesFor, type Where } from './articles-store.ts'
import { exitWith } from './fault.ts'
import { clearLine, drawLine } from './progress.ts'
import { count, paint, print, printTable, type Row } from './table.ts'

type Json = { json?: boolean }

/** How many rows are shown to people; `--json` has all. */
const SHOWN = 20

/** What became of a file. */
type Added = { source: string } & (Saved | { outcome: 'refused'; reason: string })

/** Adds files, or what a folder holds of them. Exit code 1 when any was refused. */
export const add = (paths: string[], options: Where & Json & { label?: string[] }) =>
  withArticles(options, async (articles) => {
    const files = paths.flatMap(filesIn)
    if (files.length === 0) fail('malformed', 'There is no article: .md, .markdown, .html, .htm and .txt are taken')
    if (files.length > ARTICLES_LIMIT)
      fail('malformed', `${files.length} files are more than the ${ARTICLES_LIMIT} there may be`)
    const added: Added[] = []
    for (const [index, path] of files.entries()) {
      drawLine(`${index} of ${count(files.length, 'file')}: ${path}`)
      added.push(await addFile(articles, path, options.label ?? []))
    }
    clearLine()
    const of = (outcome: Added['outcome']) => added.filter((one) => one.outcome === outcome).length
    const counts = {
      created: of('created'),
      updated: of('updated'),
      unchanged: of('unchanged'),
      refused: of('refused'),
    }
    if (options.json) print(JSON.stringify({ articles: added, ...counts }, null, 2))
    else showAdded(added, counts)
    process.exitCode = counts.refused === 0 ? 0 : 1
  })

async function addFile(articles: Articles, path: string, labels: string[]): Promise<Added> {
  const source = path.split(sep).join('/')
  try {
    const body = readFileSync(path, 'utf8')
    return { source, ...(await articles.add({ source, title: null, format: null, labels, body })) }
  } catch (error) {
    // One bad file is not to keep out the others; a store or server that is not there is.
    if (!(error instanceof AppError) || error.code === 'unavailable') throw error
    return { source, outcome: 'refused', reason: error.message }
  }
}

/** The files that `path` names or holds, in their order; what is hidden, linked or not ours is left out. */
function filesIn(path: string): string[] {
  const found = lstatSync(path)
  if (found.isFile() && formatOf(path) === null) fail('malformed', `${path} is no .md, .markdown, .html, .htm or .txt`)
  if (!found.isDirectory()) return [normalize(path)]
  return readdirSync(path, { withFileTypes: true })
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap((entry) => {
      const inside = join(path, entry.name)
      if (entry.name.startsWith('.') || entry.name === 'node_modules') return []
      if (entry.isDirectory()) return filesIn(inside)
      return entry.isFile() && formatOf(entry.name) !== null ? [inside] : []
    })
}

function showAdded(added: readonly Added[], counts: Record<Added['outcome'], number>): void {
  // What is unchanged is what one expects, and is counted below.
  const told = added.filter(({ outcome }) => outcome !== 'unchanged')
  const rows = told.map((one): Row => {
    const isRefused = one.outcome === 'refused'
    const cells = [isRefused ? '' : String(one.id), one.outcome, one.source, isRefused ? one.reason : '']
    return { state: isRefused ? 'fail' : 'ok', cells }
  })
  const shown = [...rows.filter(({ state }) => state === 'fail'), ...rows.filter(({ state }) => state !== 'fail')]
  if (rows.length > 0) printTable(['article', 'outcome', 'source', ''], shown.slice(0, SHOWN))
  if (rows.length > SHOWN) print(`… and ${rows.length - SHOWN} more; --json prints all`)
  const { created, updated, unchanged, refused } = counts
  print(`${count(created, 'article')} added, ${updated} updated, ${unchanged} unchanged, ${refused} refused`)
}

export const list = ({ q, json, ...where }: Where & Json & { q?: string }) =>
  withArticles(where, async (articles) => {
    const found: Listed[] = []
    for await (const article of articles.all(q)) found.push(article)
    if (json) return print(JSON.stringify({ articles: found }, null, 2))
    if (found.length === 0) return print('There is no article. Add some: ticketflow articles add <folder>')
    printTable(
      ['article', 'title', 'format', 'source', 'updated'],
      found.map(({ id, title, format, source, updated_at: at }) => ({
        state: 'ok',
        cells: [String(id), title, format, source ?? '', at.slice(0, 10)],
      })),
    )
    print(count(found.length, 'article'))
  })

export const show = (id: number, { json, ...where }: Where & Json) =>
  withArticles(where, async (articles) => {
    const article = await articles.find(id)
    if (json) return print(JSON.stringify(article, null, 2))
    print(paint('bold', article.title))
    print(`${article.source ?? 'typed in'}, ${article.format}, updated ${article.updated_at.slice(0, 10)}\n`)
    print(article.body)
  })

/** `named` is its number, or the source that it comes from. */
export const remove = (named: string, { json, ...where }: Where & Json) =>
  withArticles(where, async (articles) => {
    const id = /^\d{1,15}$/.test(named) ? Number(named) : await articles.from(named)
    if (id === null) return fail('not_found', `No article comes from ${named}`)
    await articles.remove(id)
    if (json) return print(JSON.stringify({ ok: true, id }))
    print(`Article ${id} is removed.`)
  })

/** Tickets and articles, as the running server finds them. */
export async function search(q: string, { limit, json, ...options }: ServerOptions & Json & { limit: number }) {
  try {
    const { hits, note } = Hits.parse(
      await createApi(options).json(`/api/search?q=${encodeURIComponent(q)}&limit=${limit}`),
    )
    if (json) return print(JSON.stringify({ hits, note }, null, 2))
    if (note !== null) print(note)
    if (hits.length === 0) return print('Nothing is like it.')
    printTable(
      ['score', 'what', 'number', 'title', ''],
      hits.map(({ kind, id, title, score, excerpt }) => ({
        state: 'ok',
        cells: [score === null ? '' : score.toFixed(2), kind, String(id), title, excerpt],
      })),
    )
  } catch (error) {
    exitWith(error)
  }
}

type Articles = Awaited<ReturnType<typeof openArticlesFor>>

async function withArticles(where: Where, work: (articles: Articles) => Promise<void>): Promise<void> {
  try {
    const articles = await openArticlesFor(where)
    try {
      await work(articles)
    } finally {
      await articles.close()
    }
  } catch (error) {
    clearLine()
    exitWith(error)
  }
}
