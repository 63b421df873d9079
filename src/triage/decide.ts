import { type Decision, isPriority, type NewDecision, type Suggestion, TRIAGE_FIELDS } from '../core/decision.ts'
import type { TriageField, TriageSettings } from '../core/decision.ts'
import type { AdviceResult } from './advisor.ts'
import type { Verdict } from './classifier.ts'
import type { Opinion } from './desk.ts'
import { type Answered, type Draft, draftFrom } from './draft.ts'
import type { Found } from './finder.ts'

/** What was found for a ticket beside the engine's opinion of it. */
export type Findings = Pick<Decision, 'similar' | 'articles' | 'duplicates_of' | 'draft_reply'>

type Decided = Pick<NewDecision, 'decision' | 'set'>
type Modes = Pick<TriageSettings, TriageField>

/** How many similar tickets, and how many articles, a decision names. */
const SIMILAR = 5

/** What was found for a ticket: tickets and articles, the nearest first, and the answers that these hold. */
export type Nearest = {
  tickets: readonly Found[]
  articles: readonly { id: number; score: number; chunk: { id: number } }[]
  answers: readonly Answered[]
}

/** What is shown of what is like a ticket. */
export function findingsFor(ticketId: number, { tickets, articles, answers }: Nearest): Findings {
  const duplicate = tickets.find(({ isDuplicate, isSolved, id }) => isDuplicate && !isSolved && id < ticketId)
  const draft = draftFrom(answers)
  return {
    similar: tickets.slice(0, SIMILAR).map(({ id, score }) => ({ id, score: rounded(score) })),
    ...(articles.length > 0 && {
      articles: articles
        .slice(0, SIMILAR)
        .map(({ id, score, chunk }) => ({ id, chunk: chunk.id, score: rounded(score) })),
    }),
    duplicates_of: duplicate === undefined ? null : { id: duplicate.id, score: rounded(duplicate.score) },
    draft_reply: draft === null ? null : shownDraft(draft),
  }
}

/** Its sources by number alone, as a decision names everything. */
const shownDraft = ({ text, sources }: Pick<Draft, 'text' | 'sources'>): Decision['draft_reply'] => ({
  text,
  sources: sources.map(({ kind, id }) => ({ kind, id })),
})

/** What becomes of the local engine's opinion under these settings: what is shown, and of that what is to be set. */
export function decide(opinion: Opinion, findings: Findings, settings: Modes): Decided {
  const decision: Decision = {
    category: suggestionOf('category', opinion, settings),
    priority: suggestionOf('priority', opinion, settings),
    language: opinion.language,
    summary: null,
    sentiment: null,
    ...findings,
    model: `local, ${opinion.embedder ?? 'words alone'}`,
    advisor: null,
    notes: opinion.problem === null ? [] : [opinion.problem],
    took_ms: 0,
    decided_at: '',
  }
  return { decision, set: settable(decision, settings) }
}

/** Whether nobody else need be asked: the engine is sure of whatever it is asked about. */
export const isSettled = (decision: Decision, settings: Modes): boolean =>
  settings.category === 'off' || decision.category?.is_sure === true

/**
 * With the word of a language model where the local engine is not sure. It says no probability that could be believed,
 * so it is never sure, and sets nothing; why there is none is noted.
 */
export function withAdvice({ decision, set }: Decided, result: AdviceResult, settings: Modes): Decided {
  if (result.advice === null) return { decision: { ...decision, notes: [...decision.notes, result.reason] }, set }
  const { category, priority, summary, language, sentiment, draft } = result.advice
  const said = (field: TriageField, value: string | null): Suggestion | null => {
    const own = decision[field]
    if (value === null || settings[field] === 'off' || own?.is_sure === true) return own
    if (own?.value === value) return own
    const others = own === null ? [] : [{ value: own.value, confidence: own.confidence }]
    return { value, confidence: ADVISED, source: 'llm', is_sure: false, set: false, others }
  }
  return {
    decision: {
      ...decision,
      category: said('category', category),
      priority: said('priority', priority),
      summary,
      language: decision.language ?? language,
      sentiment,
      draft_reply: draft === null ? decision.draft_reply : shownDraft(draft),
      advisor: result.model,
    },
    set,
  }
}

/** A language model's word is shown as better than none, and as no measured probability. */
const ADVISED = 0.5

/** When it was made, and how long that took. */
export function timed({ decision, set }: Decided, { now, tookMs }: { now: number; tookMs: number }): Decided {
  return { decision: { ...decision, took_ms: Math.round(tookMs), decided_at: new Date(now).toISOString() }, set }
}

function suggestionOf(field: TriageField, opinion: Opinion, settings: Modes): Suggestion | null {
  const verdict = opinion[field]
  if (verdict === null || settings[field] === 'off') return null
  // What people called a priority once need not be one now.
  if (field === 'priority' && !isPriority(verdict.value)) return null
  return shown(verdict)
}

const shown = ({ value, confidence, isSure, source, others }: Verdict): Suggestion => ({
  value,
  confidence: rounded(confidence),
  source,
  is_sure: isSure,
  set: false,
  others: others.map((one) => ({ value: one.value, confidence: rounded(one.confidence) })),
})

/** A share of one, to three places. */
export const rounded = (confidence: number) => Math.round(Math.min(1, Math.max(0, confidence)) * 1000) / 1000

/** Only what it is sure of, and only where that is wished. */
function settable(decision: Decision, settings: Modes): NewDecision['set'] {
  const wanted = TRIAGE_FIELDS.flatMap((field) => {
    const suggestion = decision[field]
    return settings[field] === 'set' && suggestion?.is_sure === true ? [[field, suggestion.value] as const] : []
  })
  return Object.fromEntries(wanted) as NewDecision['set']
}
