import { hash } from 'node:crypto'

import type { StoredDraft } from '../src/core/merge.ts'
import { PRIORITIES } from '../src/core/priority.ts'
import type { Submission } from '../src/store/store.ts'

export const CATEGORIES = [
  'account',
  'billing',
  'bug',
  'feature',
  'general',
  'hardware',
  'network',
  'security',
] as const
export const PLATFORMS = ['zendesk', 'freshdesk', 'jira', 'servicenow', 'custom_system'] as const

const VOCABULARY = 20_000
const SYLLABLES =
  'ba be bi bo da de do fa fe ka ke ki ko la le li lo ma me mi mo na ne no pa pe ra re ri ro sa se ta te ti to va ve za zo'
const DRAWS = 2 ** 20
const ITEMS_A_BATCH = 500
/** The share of tickets that come alone, each with a delivery of its own. */
const ALONE = 0.1

/** xorshift32: the same numbers from the same seed, from 0 up to 2^32. */
export function createRandom(seed: number) {
  let state = seed | 0 || 1
  const next = () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
  return {
    next,
    /** A whole number from 0 up to `end`. */
    below: (end: number) => Math.floor((next() / 2 ** 32) * end),
    pick: <T>(values: readonly [T, ...T[]]): T => values[Math.floor((next() / 2 ** 32) * values.length)] ?? values[0],
  }
}
export type Random = ReturnType<typeof createRandom>

/** The words, the most frequent first; and `draw`, in which each stands as often as Zipf's law has it occur. */
export function createVocabulary() {
  const syllables = SYLLABLES.split(' ')
  const words = Array.from({ length: VOCABULARY }, (_, rank) => spell(rank, syllables))
  const weights = words.map((_, rank) => 1 / (rank + 1))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const draw = new Uint16Array(DRAWS)
  let filled = 0
  let reached = 0
  weights.forEach((weight, rank) => {
    reached += weight
    const end = Math.round((reached / total) * DRAWS)
    draw.fill(rank, filled, end)
    filled = end
  })
  return { words, draw: (random: Random) => words[draw[random.next() % DRAWS] ?? 0] ?? '' }
}
export type Vocabulary = ReturnType<typeof createVocabulary>

/** Three syllables at least, and never two ranks the same word: the rank is its digits in base 40. */
function spell(rank: number, syllables: string[]): string {
  let word = ''
  for (let rest = rank, digits = 0; rest > 0 || digits < 3; digits += 1) {
    word += syllables[rest % syllables.length]
    rest = Math.floor(rest / syllables.length)
  }
  return word
}

/** Tickets as submissions, in batches and alone, `count` of them in all, the same ones each time. */
export function* submissions(count: number): Generator<Submission> {
  const random = createRandom(20_261_123)
  const vocabulary = createVocabulary()
  let made = 0
  while (made < count) {
    const size = Math.min(ITEMS_A_BATCH, count - made)
    const alone = Math.round(size * ALONE)
    const drafts = Array.from({ length: size }, (_, index) => draftOf(made + index, random, vocabulary))
    for (const draft of drafts.slice(0, alone))
      yield { kind: 'ticket', draft, delivery: deliveryOf(made, bodyOf(draft)) }
    const bodies = drafts.slice(alone).map(bodyOf)
    yield {
      kind: 'batch',
      delivery: deliveryOf(made, `[${bodies.join(',')}]`),
      items: drafts.slice(alone).map((draft, index) => ({ draft, fingerprint: hash('sha256', bodies[index] ?? '') })),
    }
    made += size
  }
}

function draftOf(index: number, random: Random, vocabulary: Vocabulary): StoredDraft {
  const platform = random.pick(PLATFORMS)
  const externalId = `${platform.slice(0, 3)}-${index + 1}`
  return {
    platform,
    account: '',
    externalId,
    title: sentence(5 + random.below(5), random, vocabulary),
    description: prose(60 + random.below(61), random, vocabulary),
    category: random.pick(CATEGORIES),
    priority: random.pick(PRIORITIES),
    userId: null,
    userEmail: `customer${random.below(200_000)}@example.com`,
    metadata: `{"platform":"${platform}","external_id":"${externalId}","department":"support"}`,
    sentUpdatedAt: null,
    status: null,
    event: null,
  }
}

function sentence(length: number, random: Random, { draw }: Vocabulary): string {
  let text = draw(random)
  for (let word = 1; word < length; word += 1) text += ` ${draw(random)}`
  return text.charAt(0).toUpperCase() + text.slice(1)
}

function prose(length: number, random: Random, vocabulary: Vocabulary): string {
  const sentences: string[] = []
  for (let left = length; left > 0; left -= 12) sentences.push(sentence(Math.min(12, left), random, vocabulary))
  return `${sentences.join('. ')}.`
}

const bodyOf = ({ title, description, category, priority, userEmail, externalId, platform }: StoredDraft): string =>
  JSON.stringify({ title, description, category, priority, customer_email: userEmail, id: externalId, platform })

function deliveryOf(number: number, body: string): Submission['delivery'] {
  return {
    receivedAt: Date.now(),
    source: 'open',
    address: '127.0.0.1',
    method: 'POST',
    path: '/api/integrations/webhook',
    headers: '{"content-type":"application/json","user-agent":"bench"}',
    body,
    bodySize: body.length,
    bodySha256: hash('sha256', body),
    requestId: `million-${number}`,
    platform: 'flat',
    idempotencyKey: null,
    keyIsPlatforms: false,
    fingerprint: null,
    receivedSha256: null,
    replayOf: null,
  }
}
