import { type Decision, isPriority, type NewDecision, type Suggestion, TRIAGE_FIELDS } from '../core/decision.ts'
import type { TriageField, TriageSettings } from '../core/decision.ts'
import type { Verdict } from './classifier.ts'
import type { Opinion } from './desk.ts'

/** What was found for a ticket beside the engine's opinion of it. */
export type Findings = Pick<Decision, 'similar' | 'duplicates_of' | 'draft_reply'>

type Decided = Pick<NewDecision, 'decision' | 'set'>

/** What becomes of an opinion under these settings: what is shown, and of that what is to be set. */
export function decide(
  opinion: Opinion,
  findings: Findings,
  settings: Pick<TriageSettings, TriageField>,
  at: { now: number; tookMs: number },
): Decided {
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
    took_ms: Math.round(at.tookMs),
    decided_at: new Date(at.now).toISOString(),
  }
  return { decision, set: settable(decision, settings) }
}

function suggestionOf(
  field: TriageField,
  opinion: Opinion,
  settings: Pick<TriageSettings, TriageField>,
): Suggestion | null {
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

const rounded = (confidence: number) => Math.round(Math.min(1, Math.max(0, confidence)) * 1000) / 1000

/** Only what it is sure of, and only where that is wished. */
export function settable(decision: Decision, settings: Pick<TriageSettings, TriageField>): NewDecision['set'] {
  const wanted = TRIAGE_FIELDS.flatMap((field) => {
    const suggestion = decision[field]
    return settings[field] === 'set' && suggestion?.is_sure === true ? [[field, suggestion.value] as const] : []
  })
  return Object.fromEntries(wanted) as NewDecision['set']
}
