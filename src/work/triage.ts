import { hash } from 'node:crypto'

import {
  type Decision,
  type NewDecision,
  TRIAGE_SETTING,
  type TriageSettings,
  triageSettingsIn,
} from '../core/decision.ts'
import type { CronEntry, Handler, HandlerSpec, JobPayload } from '../core/jobs.ts'
import type { Ticket } from '../core/ticket.ts'
import type { Store } from '../store/store.ts'
import { CATEGORIES } from '../triage/categories.ts'
import type { Advisor, AdviceResult } from '../triage/advisor.ts'
import { decide, findingsFor, isSettled, rounded, timed, withAdvice } from '../triage/decide.ts'
import { type Opinion, ticketText } from '../triage/desk.ts'
import type { Answered } from '../triage/draft.ts'
import type { Engine } from '../triage/engine.ts'
import { type Found, type Question, quantised } from '../triage/finder.ts'
import { createEmbedding } from './embedding.ts'
import { startLearning } from './learning.ts'
import { articlesOf, CHUNKS_AN_ARTICLE, type FoundArticle } from './found-articles.ts'
import { documentOf, startMemory } from './memory.ts'
import { startShelf } from './shelf.ts'

/** How soon other nodes see what operators set. */
const SETTINGS_MS = 5_000
const TIME_LIMIT_MS = 120_000
/** Twice what a decision shows: some of them may not be near enough. */
const FOUND = 10
/** Less alike than this is not worth showing. */
const LEAST_ALIKE = 0.2
/** A search is a few words, which make up little of a long text. */
const LEAST_FOUND = 0.1
/** Of solved tickets, and of articles: so many answers may become the draft. */
const ANSWERS = 3
const VECTORS_MS = 1_000
const VECTORS = 64

export type Triage = {
  handler: HandlerSpec
  cron: readonly CronEntry[]
  /** Tickets and articles like a ticket, the nearest first. */
  similar: (
    ticket: Ticket,
    options: { limit: number; isSolved?: boolean | undefined },
  ) => Promise<{ tickets: Decision['similar']; articles: FoundArticle[] }>
  /** Tickets and articles like a text, the nearest first. */
  search: (
    text: string,
    limit: number,
    signal: AbortSignal,
  ) => Promise<{ tickets: Decision['similar']; articles: FoundArticle[] }>
  /** Somebody said what a ticket is: triage learns soon. */
  heard: () => void
  configure: (settings: TriageSettings) => Promise<void>
  state: () => Promise<TriageState>
  close: () => Promise<void>
}

type TriageState = {
  settings: TriageSettings
  categories: { name: string; description: string; keywords: string[] }[]
  engine: string
  embedder: string | null
  advisor: string | null
  learned: Record<string, number>
  vectors: { tickets: number; missing: number } | null
  notes: string[]
}

/**
 * Triage as the rest of the program sees it: what becomes of a ticket's job, what is like a ticket, what operators set.
 * Decides once for each cause, whatever happens to the process: the store says so.
 */
export async function startTriage(deps: {
  store: Store
  engine: Engine
  /** Null where no language model is set. */
  advisor: Advisor | null
  /** Whether this node works: it then learns, and knows what there is before the first question. */
  isWorker: boolean
  /** How many decisions are at work at a time. */
  concurrency: number
  keep: (bytes: Uint8Array) => Promise<void>
  onNotice: (facts: object, what: string) => void
  onError: (error: unknown, what: string) => void
}): Promise<Triage> {
  const { store, engine, advisor, isWorker, concurrency, keep, onNotice, onError } = deps
  let deciding = 0
  const settings = await watchSettings()
  const vectors = bufferVectors()
  // Not awaited: the server need not wait for the thread. It answers in order, so this counts before any question.
  engine.configure(inUse(settings.now())).catch((error: unknown) => onError(error, 'triage could not be set up'))
  const learning = isWorker
    ? startLearning({ store, engine, keep, onError: (error) => onError(error, 'triage could not learn') })
    : null
  const memory = startMemory({
    store,
    engine,
    isTold: isWorker,
    onError: (error) => onError(error, 'tickets like others could not be read'),
  })
  const embedding = createEmbedding({ store, engine, isBusy: () => deciding > 0, onNotice })

  const shelf = startShelf({
    store: store.articleStore,
    engine,
    onError: (error) => onError(error, 'articles could not be read'),
  })

  /** What operators set; other nodes may set it too. */
  async function watchSettings() {
    let known = await readSettings(store)
    const timer = setInterval(() => {
      readSettings(store)
        .then(use)
        .catch((error: unknown) => onError(error, 'the settings of triage could not be read'))
    }, SETTINGS_MS)
    timer.unref()
    async function use(next: TriageSettings): Promise<void> {
      if (JSON.stringify(next) === JSON.stringify(known)) return
      known = next
      await engine.configure(inUse(next))
      learning?.again()
    }
    return { now: () => known, use, stop: () => clearInterval(timer) }
  }

  /** Keeps vectors a few at a time: one lost in a crash is made again when it is asked for. */
  function bufferVectors() {
    let waiting = new Map<number, Int8Array>()
    let model = ''
    const flush = async () => {
      const [full, by] = [waiting, model]
      waiting = new Map()
      if (full.size > 0) await store.triage.saveVectors(by, full)
    }
    const flushNow = () => void flush().catch((error: unknown) => onError(error, 'vectors could not be kept'))
    const timer = setInterval(flushNow, VECTORS_MS)
    timer.unref()
    return {
      add: (ticketId: number, { vector, embedder }: Opinion) => {
        if (vector === null || embedder === null) return
        model = embedder
        waiting.set(ticketId, quantised(vector))
        if (waiting.size >= VECTORS) flushNow()
      },
      close: async () => {
        clearInterval(timer)
        await flush().catch((error: unknown) => onError(error, 'vectors could not be kept'))
      },
    }
  }

  const run: Handler = async (job) => {
    deciding += 1
    try {
      await decideOn(job)
    } finally {
      deciding -= 1
    }
  }

  const decideOn: Handler = async ({ ticketId, payload, signal }) => {
    const started = performance.now()
    const ticket = ticketId === null ? null : await store.ticket(ticketId)
    if (ticket === null) return
    const text = ticketText(ticket)
    const opinion = await engine.classify(text, signal)
    const { tickets, articles } = await near({ text, vector: opinion.vector, limit: FOUND, except: ticket.id })
    const answers = [...(await answersOf(tickets)), ...articles.slice(0, ANSWERS).map(answerOf)]
      // The language model reads the first of them.
      .toSorted((one, other) => other.score - one.score)
    const local = decide(opinion, findingsFor(ticket.id, { tickets, articles, answers }), settings.now())
    const asked = isSettled(local.decision, settings.now()) ? null : await askAdvisor(ticket, answers, signal)
    const decided = asked === null ? local : withAdvice(local, asked, settings.now())
    const at = { now: Date.now(), tookMs: performance.now() - started }
    await store.triage.decide({
      ticketId: ticket.id,
      cause: causeOf(payload),
      at: at.now,
      seen: seenOf(ticket, text, opinion),
      ...timed(decided, at),
    })
    vectors.add(ticket.id, opinion)
    await engine.index([documentOf(ticket, opinion.vector)])
  }

  /** Tickets and articles that are near enough to be shown. */
  async function near(question: Omit<Question, 'kind'>, least = LEAST_ALIKE) {
    const { limit } = question
    const [found, chunks] = await Promise.all([
      engine.find({ ...question, kind: 'ticket' }),
      engine.find({ text: question.text, vector: question.vector, kind: 'chunk', limit: limit * CHUNKS_AN_ARTICLE }),
    ])
    const isNear = ({ score }: Found) => score >= least
    const articles = await articlesOf(store.articleStore, chunks.filter(isNear), limit)
    return { tickets: found.filter(isNear), articles }
  }

  async function nearestTo(question: Omit<Question, 'kind' | 'vector'>, least?: number, signal?: AbortSignal) {
    const [vector = null] = await engine.embed([question.text], signal)
    const { tickets, articles } = await near({ ...question, vector }, least)
    return {
      tickets: tickets.map(({ id, score }) => ({ id, score: rounded(score) })),
      articles: articles.map((article) => Object.assign(article, { score: rounded(article.score) })),
    }
  }

  /** A language model's word, where there is one and the local engine is not sure; never longer than its own limit. */
  async function askAdvisor(ticket: Ticket, sources: Answered[], signal: AbortSignal): Promise<AdviceResult | null> {
    const { categories } = inUse(settings.now())
    const { title, description } = ticket
    return (await advisor?.advise({ title, description, categories, sources }, signal)) ?? null
  }

  /** What staff last wrote to the customer on those that are solved. */
  async function answersOf(tickets: readonly Found[]): Promise<Answered[]> {
    const solved = tickets.filter(({ isSolved }) => isSolved).slice(0, ANSWERS)
    const answers = await Promise.all(
      solved.map(async ({ id, score }) => {
        const entries = (await store.timeline(id)) ?? []
        const told = entries.findLast(({ comment }) => comment?.by_staff === true && comment.public)?.comment
        return told ? [{ kind: 'ticket' as const, id, title: '', text: told.body, score }] : []
      }),
    )
    return answers.flat()
  }

  return {
    handler: { run, concurrency, timeLimitMs: TIME_LIMIT_MS },
    cron: [embedding.cron],
    similar: (ticket, { limit, isSolved }) =>
      nearestTo({ text: ticketText(ticket), limit, except: ticket.id, ...(isSolved !== undefined && { isSolved }) }),
    search: (text, limit, signal) => nearestTo({ text, limit }, LEAST_FOUND, signal),
    heard: () => learning?.heard(),
    configure: async (next) => {
      await store.triage.saveSetting(TRIAGE_SETTING, JSON.stringify(next))
      await settings.use(next)
    },
    state: async () => {
      const { embedder, problem, category, priority, restarts } = await engine.state()
      return {
        settings: settings.now(),
        categories: inUse(settings.now()).categories.map(({ name, description, keywords }) => ({
          name,
          description,
          keywords: [...keywords],
        })),
        engine: 'local',
        embedder,
        advisor: advisor?.id ?? null,
        learned: { category: category.examples, priority: priority.examples },
        vectors: embedder === null ? null : await embedding.progress(embedder),
        notes: [
          ...(problem === null ? [] : [problem]),
          ...(restarts === 0 ? [] : [`The engine was started again ${restarts} times`]),
        ],
      }
    },
    close: async () => {
      settings.stop()
      await learning?.close()
      await vectors.close()
      await engine.close()
      await shelf.close()
      await memory.close()
    },
  }
}

/** What an article says, as a reply may be taken from it. */
const answerOf = ({ id, title, score, chunk }: FoundArticle): Answered => ({
  kind: 'article',
  id,
  title,
  text: chunk.text,
  score,
})

const readSettings = async ({ triage }: Store) => triageSettingsIn(await triage.setting(TRIAGE_SETTING))

const inUse = ({ categories, precision }: TriageSettings) => ({ categories: categories ?? CATEGORIES, precision })

/** Why a decision is made: the job says so where it was not the ticket's coming. */
const causeOf = ({ cause }: JobPayload): string => (typeof cause === 'string' ? cause : 'created')

/** What a decision was made from. The text itself is on record with the ticket's deliveries; here is which it was. */
function seenOf(ticket: Ticket, text: string, opinion: Opinion): NewDecision['seen'] {
  const { category, priority, updatedAt } = ticket
  const { language, embedder, category: byCategory, priority: byPriority } = opinion
  return JSON.stringify({
    text_sha256: hash('sha256', text),
    updated_at: updatedAt,
    category,
    priority,
    opinion: { language, embedder, category: byCategory, priority: byPriority },
  })
}
