import { AppError } from '../core/errors.ts'
import { excerptOf } from '../core/excerpt.ts'
import type { Status, Ticket } from '../core/ticket.ts'
import type { Store } from '../store/store.ts'
import type { FoundArticle } from './found-articles.ts'
import type { Triage } from './triage.ts'

export type Hit = {
  kind: 'ticket' | 'article'
  id: number
  title: string
  excerpt: string
  /** How near it is; null where it holds the words, and no more is known. */
  score: number | null
  status: Status | null
  source: string | null
}

/** Less near than this, what holds the very words says more. */
const NEAR = 0.2
/** Somebody sits and waits: an embedder elsewhere may take longer than that. */
const PATIENCE_MS = 4_000

type Deps = { store: Pick<Store, 'ticket' | 'tickets' | 'articleStore'>; triage: Pick<Triage, 'search'> | null }
type Asked = { q: string; limit: number }

/**
 * Tickets and articles: what is near first, then what holds all the words, however old, then what is only a little alike:
 * an address or a number is found by its words. `note` says why nothing was compared, where triage is off or its engine
 * does not answer.
 */
export async function search(deps: Deps, asked: Asked): Promise<{ hits: Hit[]; note: string | null }> {
  const [{ hits, note }, exact] = await Promise.all([nearest(deps, asked), holding(deps, asked)])
  const scored = new Map(hits.map((hit) => [keyOf(hit), hit]))
  const near = hits.filter(({ score }) => (score ?? 0) >= NEAR)
  const ordered = [...near, ...exact.map((hit) => scored.get(keyOf(hit)) ?? hit), ...hits]
  // A map keeps the first place of each.
  const unique = new Map(ordered.map((hit) => [keyOf(hit), hit]))
  return { hits: [...unique.values()].slice(0, asked.limit), note }
}

async function nearest({ store, triage }: Deps, { q, limit }: Asked): Promise<{ hits: Hit[]; note: string | null }> {
  if (triage === null) return { hits: [], note: 'Triage is not on: found by whole words alone' }
  const patience = AbortSignal.timeout(PATIENCE_MS)
  try {
    const near = await triage.search(q, limit, patience)
    const found = await Promise.all(
      near.tickets.map(async ({ id, score }) => {
        const ticket = await store.ticket(id)
        return ticket === null ? [] : [ticketHit(ticket, q, score)]
      }),
    )
    const hits = [...found.flat(), ...near.articles.map((article) => articleHit(article, q))]
    return { hits: hits.toSorted((one, other) => (other.score ?? 0) - (one.score ?? 0)), note: null }
  } catch (error) {
    if (patience.aborted) return { hits: [], note: 'Triage takes too long to answer: found by whole words alone' }
    if (!(error instanceof AppError)) throw error
    return { hits: [], note: `${error.message}: found by whole words alone` }
  }
}

/** The newest that hold all the words, an article and a ticket in turn. */
async function holding({ store }: Deps, { q, limit }: Asked): Promise<Hit[]> {
  const [articles, tickets] = await Promise.all([
    store.articleStore.articles({ q, limit }),
    store.tickets({ q, limit }),
  ])
  return Array.from({ length: limit }, (_, at) => {
    const [article, ticket] = [articles[at], tickets[at]]
    return [
      ...(article === undefined
        ? []
        : [{ ...hitOf('article', article), excerpt: excerptOf(article.opening), source: article.source }]),
      ...(ticket === undefined ? [] : [ticketHit(ticket, q, null)]),
    ]
  }).flat()
}

const keyOf = ({ kind, id }: Hit) => `${kind}${id}`

const hitOf = (kind: Hit['kind'], { id, title }: { id: number; title: string }): Hit => ({
  kind,
  id,
  title,
  excerpt: '',
  score: null,
  status: null,
  source: null,
})

const ticketHit = (ticket: Ticket, q: string, score: number | null): Hit => ({
  ...hitOf('ticket', ticket),
  excerpt: excerptOf(ticket.description, q),
  score,
  status: ticket.status,
})

const articleHit = (article: FoundArticle, q: string): Hit => ({
  ...hitOf('article', article),
  excerpt: excerptOf(article.chunk.text, q),
  score: article.score,
  source: article.source,
})
