export type Suggested = { value: string; confidence: number | null; source: string | null }
type RelatedTicket = { id: number; title: string | null; similarity: number | null }

export type ReadTriage = {
  category: Suggested | null
  priority: Suggested | null
  language: string | null
  summary: string | null
  similar: RelatedTicket[]
  duplicatesOf: RelatedTicket[]
  draftReply: string | null
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
    duplicatesOf: related(said['duplicates_of']),
    draftReply: text(said['draft_reply']),
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

/** Numbers, or objects with one. */
function related(value: unknown): RelatedTicket[] {
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
