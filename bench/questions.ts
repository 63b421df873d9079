import { PRIORITIES } from '../src/core/priority.ts'
import { CATEGORIES, createRandom, createVocabulary, PLATFORMS } from './corpus.ts'
import { ticketWith } from './ticket.ts'

type Request = { method: 'GET' | 'PATCH' | 'POST'; path: string; body?: string }

export type Question = {
  name: string
  /** The p50 it is to reach, where there is one. */
  targetMs: number | null
  /** The status of every answer. */
  answers: number
  requests: Request[]
}

const PAGE_MS = 3
const SEARCH_MS = 50

/** What is asked of a store of `tickets` tickets, each question `times` times and each time with other values. */
export function questions(tickets: number, times: number): Question[] {
  const random = createRandom(7)
  const { words } = createVocabulary()
  const anyId = () => 1 + random.below(tickets)
  const frequent = () => words[random.below(30)] ?? ''
  const medium = () => words[300 + random.below(700)] ?? ''
  const rare = () => words[10_000 + random.below(10_000)] ?? ''

  const ask = (name: string, targetMs: number, path: () => string): Question => ({
    name,
    targetMs,
    answers: 200,
    requests: Array.from({ length: times }, () => ({ method: 'GET', path: path() })),
  })
  const page = (name: string, query: () => string) => ask(name, PAGE_MS, () => `/api/tickets?${query()}`)
  const search = (name: string, words_: () => string[]) =>
    ask(name, SEARCH_MS, () => `/api/tickets?q=${words_().join('+')}`)
  const change = (): Request => ({
    method: 'PATCH',
    path: `/api/tickets/${anyId()}`,
    body: JSON.stringify({ status: random.pick(['open', 'pending', 'resolved']) }),
  })

  const run = Date.now().toString(36)
  let sent = 0
  const insert = (): Request => ({
    method: 'POST',
    path: '/api/integrations/webhook',
    body: ticketWith(`${run}-${String((sent += 1)).padStart(10, '0')}`),
  })

  return [
    ask('GET /api/tickets/:id', PAGE_MS, () => `/api/tickets/${anyId()}`),
    page('first page', () => ''),
    page('page deep inside', () => `cursor=${anyId()}`),
    page('page of a priority', () => `priority=${random.pick(PRIORITIES)}`),
    page('page of a category', () => `category=${random.pick(CATEGORIES)}`),
    page('page of a platform', () => `platform=${random.pick(PLATFORMS)}`),
    page('page of status new', () => 'status=new'),
    page('page of status new, deep inside', () => `status=new&cursor=${anyId()}`),
    page(
      'page of priority + category',
      () => `priority=${random.pick(PRIORITIES)}&category=${random.pick(CATEGORIES)}`,
    ),
    page(
      'page of all four filters, deep inside',
      () =>
        `status=new&priority=${random.pick(PRIORITIES)}&category=${random.pick(CATEGORIES)}` +
        `&platform=${random.pick(PLATFORMS)}&cursor=${anyId()}`,
    ),
    { name: 'PATCH /api/tickets/:id', targetMs: null, answers: 200, requests: Array.from({ length: times }, change) },
    { name: 'a webhook', targetMs: null, answers: 200, requests: Array.from({ length: times }, insert) },
    page('page of status pending (few)', () => 'status=pending'),
    search('search frequent + rare', () => [frequent(), rare()]),
    search('search frequent + frequent', () => [frequent(), frequent()]),
    search('search medium + medium', () => [medium(), medium()]),
    search('search rare + rare', () => [rare(), rare()]),
    search('search without a match', () => [frequent(), 'nowhereatall']),
    ask(
      'search frequent + rare of a priority',
      SEARCH_MS,
      () => `/api/tickets?q=${frequent()}+${rare()}&priority=${random.pick(PRIORITIES)}`,
    ),
  ]
}
