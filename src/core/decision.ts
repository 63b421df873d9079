import { z } from 'zod'

import { PRIORITIES, type Priority } from './priority.ts'

/** What triage has a say in. */
export const TRIAGE_FIELDS = ['category', 'priority'] as const
export type TriageField = (typeof TRIAGE_FIELDS)[number]

/**
 * Who suggests: the classifier that learned from this store's tickets, the descriptions of the categories, fixed rules,
 * or a language model.
 */
const SUGGESTERS = ['model', 'description', 'rules', 'llm'] as const

const Suggestion = z.object({
  value: z.string(),
  confidence: z.number().min(0).max(1),
  source: z.enum(SUGGESTERS),
  is_sure: z.boolean().describe('Whether its confidence is above the threshold of the precision that is wished for'),
  set: z.boolean().describe('Whether it was set on the ticket; else it is a suggestion'),
  others: z.array(z.object({ value: z.string(), confidence: z.number() })).describe('What else it may be'),
})
export type Suggestion = z.infer<typeof Suggestion>

// Numbers alone: whoever reads looks up what the ticket is called now, and an erased title is in no copy.
const Similar = z.object({ id: z.int(), score: z.number() })

/** `chunk` is the piece of it that is near. */
const FoundArticle = z.object({ id: z.int(), chunk: z.int(), score: z.number() })

const Cited = z.object({ kind: z.enum(['ticket', 'article']), id: z.int() })

/** What triage made of a ticket, as the ticket shows it. */
export const Decision = z
  .object({
    category: Suggestion.nullable(),
    priority: Suggestion.nullable(),
    language: z.string().nullable().describe('ISO 639-1; null where it is not known'),
    summary: z.string().nullable(),
    sentiment: z.enum(['positive', 'neutral', 'negative', 'angry']).nullable(),
    similar: z.array(Similar).describe('Tickets like it as they were then'),
    articles: z.array(FoundArticle).optional().describe('Articles that are about the same; left out where none are'),
    duplicates_of: z.object({ id: z.int(), score: z.number() }).nullable(),
    draft_reply: z
      .object({ text: z.string(), sources: z.array(Cited).describe('What it is taken from, or leans on') })
      .nullable(),
    model: z.string().describe('What decided: the local engine and its state'),
    advisor: z.string().nullable().describe('The language model that was heard'),
    notes: z.array(z.string()).describe('What did not work, a sentence each'),
    took_ms: z.number(),
    decided_at: z.iso.datetime(),
  })
  .meta({ id: 'Triage' })
export type Decision = z.infer<typeof Decision>

/** A decision as it is handed to the store. */
export type NewDecision = {
  ticketId: number
  /** Why it was made. One cause is decided once, however often its job runs. */
  cause: string
  /** ms since the epoch */
  at: number
  decision: Decision
  /** What it was made from, so that it can be understood and replayed: JSON. */
  seen: string
  /** What it is to set, where neither the sender nor a person said anything else. */
  set: { category?: string | undefined; priority?: Priority | undefined }
}

/** How often a field was suggested rightly, of those tickets of which a person then said what it is. */
export type AccuracyRow = {
  field: TriageField
  /** What people set. */
  value: string
  /** Monday of the week in which it was decided, as YYYY-MM-DD. */
  week: string
  tickets: number
  right: number
  /** Those of which triage was sure, and how many of these were right. */
  sure: number
  sureRight: number
}

export const Category = z.strictObject({
  name: z.string().trim().toLowerCase().min(1).max(100),
  description: z.string().trim().max(1000).default(''),
  keywords: z.array(z.string().trim().min(1).max(60)).max(100).default([]),
})

/** `off`: no word of it; `suggest`: shown on the ticket; `set`: set on the ticket, where nobody said and it is sure. */
const TRIAGE_MODES = ['off', 'suggest', 'set'] as const

/** What operators decide about triage. */
export const TriageSettings = z
  .strictObject({
    category: z.enum(TRIAGE_MODES).default('suggest'),
    priority: z.enum(TRIAGE_MODES).default('suggest'),
    precision: z
      .number()
      .min(0.5)
      .max(0.999)
      .default(0.95)
      .describe('Of what is sure, this part is to be right; below it, triage only suggests'),
    categories: z.array(Category).max(200).nullable().default(null).describe('Null is the list that is shipped'),
  })
  .meta({ id: 'TriageSettings' })
export type TriageSettings = z.infer<typeof TriageSettings>

/** Under what name the store keeps them. */
export const TRIAGE_SETTING = 'triage'

/** What the store keeps, or what is preset where it keeps nothing. */
export const triageSettingsIn = (json: string | null): TriageSettings => TriageSettings.parse(JSON.parse(json ?? '{}'))

export const isPriority = (value: string): value is Priority => (PRIORITIES as readonly string[]).includes(value)
