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

/** A platform's own words, in lower case, and digits. Null for one that says nothing, such as Linear's 0. */
export type PriorityScale = Readonly<Record<string, Priority | null>>

/**
 * Reads a priority word of any case: "High", "1 - Critical", "2 normal". Null when the word says nothing.
 * A bare digit is null unless the scale has it: 1 is the lowest for Freshdesk and the highest for ServiceNow.
 */
export function priorityFrom(value: string | null, scale?: PriorityScale): Priority | null {
  if (value === null) return null
  const said = value.trim().toLowerCase()
  const word = said.replace(/^\d[\s-]+/, '')
  return fromScale(scale, said) ?? fromScale(scale, word) ?? BY_WORD.get(said) ?? BY_WORD.get(word) ?? null
}

const fromScale = (scale: PriorityScale | undefined, word: string): Priority | null =>
  scale !== undefined && Object.hasOwn(scale, word) ? (scale[word] ?? null) : null

/**
 * The highest priority that any of these labels names, as a whole word: "p1", "priority: high", "priority::2". Where
 * none does, and one of those that were just taken off did, the ticket is back at medium.
 */
export function priorityFromLabels(
  labels: readonly string[],
  takenOff: readonly string[] = [],
): { is: Priority | null; said: string | null } {
  let highest: { is: Priority; said: string } | null = null
  for (const label of labels) {
    const is = priorityOfLabel(label.toLowerCase())
    if (is !== null && (highest === null || PRIORITIES.indexOf(is) > PRIORITIES.indexOf(highest.is))) {
      highest = { is, said: label }
    }
  }
  return highest ?? { is: takenOff.some(isPriorityLabel) ? 'medium' : null, said: null }
}

/** The first label that says something else than a priority: what senders without a category say it by. */
export const categoryFromLabels = (labels: readonly string[]): string | null =>
  labels.find((label) => !isPriorityLabel(label)) ?? null

const isPriorityLabel = (label: string): boolean => priorityOfLabel(label.toLowerCase()) !== null

const LABEL_WORDS: ReadonlyMap<string, Priority> = new Map([
  ...['p0', 'p1', 'critical', 'blocker', 'urgent', 'sev0', 'sev1', 's1'].map((word) => [word, 'urgent'] as const),
  ...['p2', 'high', 'sev2', 's2'].map((word) => [word, 'high'] as const),
  ...['p3', 'medium', 'sev3', 's3'].map((word) => [word, 'medium'] as const),
  ...['p4', 'p5', 'low', 'minor', 'sev4', 's4'].map((word) => [word, 'low'] as const),
])

function priorityOfLabel(label: string): Priority | null {
  const [, digit] = /^(?:priority|prio|severity|sev)\s*[:/=-]+\s*p?([0-5])$/.exec(label) ?? []
  if (digit !== undefined) return LABEL_WORDS.get(`p${digit}`) ?? null
  const known = label.split(/[^a-z0-9]+/).flatMap((word) => LABEL_WORDS.get(word) ?? [])
  return known[0] ?? null
}
