export type Suggested = { value: string; confidence: number | null; source: string | null }
type Related = { id: number; title: string | null; similarity: number | null }
export type CitedSource = { kind: 'ticket' | 'article'; id: number }

export type ReadTriage = {
  category: Suggested | null
  priority: Suggested | null
  language: string | null
  summary: string | null
  similar: Related[]
  articles: Related[]
  duplicatesOf: Related[]
  draftReply: { text: string; sources: CitedSource[] } | null
  /** What did not work, a sentence each. */
  notes: string[]
}

const SHOWN = 5

const text = (value: unknown) => (typeof value === 'string' && value.trim() !== '' ? value : null)
const share = (value: unknown) => (typeof value === 'number' && value >= 0 && value <= 1 ? value : null)

/** As much of it as is there: a part may be turned off, still to come, or failed. Null where there is nothing at all. */
export function readTriage(triage: unknown): ReadTriage | null {
  if (typeof triage !== 'object' || triage === null) return null
  const said = triage as Record<string, unknown>
  const read = {
    category: suggested(said['category']),
    priority: suggested(said['priority']),
    language: text(said['language']),
    summary: text(said['summary']),
    similar: related(said['similar']),
    articles: related(said['articles']),
    duplicatesOf: related(said['duplicates_of']),
    draftReply: draft(said['draft_reply']),
    notes: Array.isArray(said['notes']) ? said['notes'].flatMap((note: unknown) => text(note) ?? []) : [],
  }
  const isAnything = Object.values(read).some((part) => (Array.isArray(part) ? part.length > 0 : part !== null))
  return isAnything ? read : null
}

function suggested(value: unknown): Suggested | null {
  if (typeof value === 'string') return value === '' ? null : { value, confidence: null, source: null }
  if (typeof value !== 'object' || value === null) return null
  const said = value as Record<string, unknown>
  const word = text(said['value'])
  return word === null ? null : { value: word, confidence: share(said['confidence']), source: text(said['source']) }
}

/** A reply with what it is taken from. */
function draft(value: unknown): ReadTriage['draftReply'] {
  const said = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : { text: value }
  const reply = text(said['text'])
  if (reply === null) return null
  const sources = Array.isArray(said['sources']) ? (said['sources'] as unknown[]) : []
  return {
    text: reply,
    sources: sources.flatMap((one) => {
      const { kind, id } = (one ?? {}) as Record<string, unknown>
      return (kind === 'ticket' || kind === 'article') && Number.isSafeInteger(id) ? { kind, id: Number(id) } : []
    }),
  }
}

/** Who suggests, in words. */
export const bySource = (source: string | null): string | undefined =>
  source === null
    ? undefined
    : ({
        model: 'Learned from your tickets',
        description: 'By the description of the category',
        rules: 'By fixed rules',
        llm: 'A language model’s word, not a measured probability',
      }[source] ?? `By ${source}`)

/** Numbers, or objects with one. */
function related(value: unknown): Related[] {
  const list = Array.isArray(value) ? value : value === null || value === undefined ? [] : [value]
  return list
    .flatMap((one: unknown) => {
      const said = typeof one === 'object' && one !== null ? (one as Record<string, unknown>) : { id: one }
      const id = Number(said['id'] ?? said['ticket_id'])
      if (!Number.isSafeInteger(id) || id < 1) return []
      return [{ id, title: text(said['title']), similarity: share(said['similarity'] ?? said['score']) }]
    })
    .slice(0, SHOWN)
}
