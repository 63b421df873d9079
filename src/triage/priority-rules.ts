import { type Priority, PRIORITIES } from '../core/priority.ts'
import type { Verdict } from './classifier.ts'
import { TEXT_LIMIT } from './features.ts'

type Rule = { points: number; pattern: RegExp }

/** What English tickets say of harm and hurry. Points add up; of each kind the strongest that is found counts. */
const KINDS: readonly (readonly Rule[])[] = [
  // How much is broken, and for how many.
  [
    {
      points: 4,
      pattern:
        /\b(?:outage|data loss|data breach|security breach|ransomware|(?:production|site|website|server|system|service|everything|platform|database) (?:is |are |has been |went )?(?:completely |totally )?(?:down|offline|unreachable)|lost (?:all )?(?:of )?(?:our|my|the) data|completely down|(?:returning|getting|with|throws?|http) 5\d\d|5\d\d errors?|50[0-4]\b)\b/g,
    },
    {
      points: 3,
      pattern:
        /\b(?:crash(?:es|ed|ing)?|locked out|hacked|stolen|fraud(?:ulent)?|unauthori[sz]ed|charged (?:\w+ ){0,3}twice|double charged|corrupted|stopped working|unusable)\b/g,
    },
    {
      points: 2,
      pattern:
        /\b(?:can ?not|cant|unable to|not able to|fail(?:s|ed|ing|ure)?|broken|not working|doesnt work|does not work|wont load|not loading|errors?|never (?:receive|arrive|get|got|came)|missing|down)\b/g,
    },
    { points: 1, pattern: /\b(?:problem|issue|bug|slow|wrong|incorrect|delay(?:ed)?)\b/g },
  ],
  // For whom.
  [
    {
      points: 2,
      pattern:
        /\b(?:all (?:of )?(?:our |the |my )?(?:users|customers|clients|staff|employees|team|agents|orders|payments)|every ?(?:one|body|customer|user)|no ?(?:body|one) can|entire (?:company|team|office|site)|whole (?:company|team|office|site)|business critical|in production|checkout)\b/g,
    },
  ],
  // How soon.
  [
    {
      points: 3,
      pattern:
        /\b(?:urgent(?:ly)?|asap|as soon as possible|emergency|immediate(?:ly)?|critical|right now|right away|top priority)\b/g,
    },
    {
      points: 1,
      pattern:
        /\b(?:since (?:this morning|today|yesterday|last night)|today|tonight|deadline|multiple times|several times|many times|repeatedly|again and again|still not|for (?:days|weeks)|third time|losing (?:money|customers|sales))\b/g,
    },
  ],
  // What can wait.
  [
    {
      points: -3,
      pattern:
        /\b(?:feature request|would be (?:nice|great|good)|nice to have|suggestion|enhancement|typo|cosmetic|inquiry|enquiry|just (?:wondering|curious)|feedback|no (?:rush|hurry)|low priority|whenever you|when you (?:have|get) (?:a )?(?:time|chance|moment)|not (?:that |very |so )?(?:urgent|critical|important)|minor)\b/g,
    },
    {
      points: -2,
      pattern:
        /\b(?:questions? (?:about|on|regarding)|how (?:do|can|to|does)|is it possible|could you (?:explain|tell)|do you (?:offer|support|have)|wondering|curious|documentation|where can i (?:find|see))\b/g,
    },
  ],
]

const NEGATED = /\b(?:not|no|isnt|wasnt|arent|without|never|nothing|longer)(?: \w+)? ?$/

/**
 * A priority from what a text says of harm and hurry; null for another language than English. Rules are never sure:
 * they are what there is until people have labelled tickets.
 */
export function priorityByRules(text: string, language: string | null): Verdict | null {
  if (language !== null && language !== 'en') return null
  const said = text.slice(0, TEXT_LIMIT).toLowerCase().replaceAll(/['’]/g, '').replaceAll(/\s+/g, ' ')
  const points = KINDS.reduce((sum, rules) => sum + pointsOf(said, rules), 0)
  const level = points >= 5 ? 3 : points >= 3 ? 2 : points <= -1 ? 0 : 1
  const distance = Math.min(...[-1, 3, 5].map((bound) => Math.abs(points - bound + 0.5)))
  const confidence = Math.min(0.7, 0.4 + 0.06 * distance)
  const near = [level + 1, level - 1].flatMap((one) => PRIORITIES[one] ?? [])
  return {
    value: PRIORITIES[level] as Priority,
    confidence,
    isSure: false,
    others: near.map((value) => ({ value, confidence: (1 - confidence) / (near.length + 1) })),
    source: 'rules',
  }
}

function pointsOf(said: string, rules: readonly Rule[]): number {
  for (const { points, pattern } of rules) {
    for (const { index } of said.matchAll(pattern))
      if (points < 0 || !NEGATED.test(said.slice(Math.max(0, index - 24), index))) return points
  }
  return 0
}
