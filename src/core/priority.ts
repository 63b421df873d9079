export const PRIORITIES = ['low', 'medium', 'high', 'urgent'] as const
export type Priority = (typeof PRIORITIES)[number]

const SYNONYMS: Readonly<Record<Priority, readonly string[]>> = {
  low: ['low', 'lowest', 'minor', 'trivial', 'p4', 'p5'],
  medium: ['medium', 'normal', 'moderate', 'standard', 'p3'],
  high: ['high', 'major', 'important', 'p2'],
  urgent: ['urgent', 'critical', 'blocker', 'emergency', 'highest', 'p0', 'p1', 'sev1'],
}

const BY_WORD: ReadonlyMap<string, Priority> = new Map(
  PRIORITIES.flatMap((priority) => SYNONYMS[priority].map((word) => [word, priority] as const)),
)

/**
 * Reads a priority word of any case: "High", "1 - Critical", "2 normal". Null when the word says nothing.
 * A bare digit is null on purpose: 1 is the lowest for Freshdesk and the highest for ServiceNow.
 */
export function priorityFrom(value: string | null): Priority | null {
  if (value === null) return null
  const word = value.trim().toLowerCase()
  return BY_WORD.get(word) ?? BY_WORD.get(word.replace(/^\d[\s-]+/, '')) ?? null
}
