import { RE2JS } from 're2js'
import { z } from 'zod'

import { failFields, type FieldError } from './errors.ts'
import { isObject } from './json.ts'
import { cards, emails, type Finder, ibans, phones, type Replace } from './personal-data.ts'
import { distinct, redactBytes, redactPath, type RedactText, roleOf } from './redacted-body.ts'
import type { Comment, TicketDraft } from './ticket.ts'

export const REDACTION_KINDS = ['email', 'phone', 'card', 'iban', 'pattern'] as const

export const RedactionRule = z
  .strictObject({
    kind: z.enum(REDACTION_KINDS),
    /** What is stored of the request, what is stored as the ticket, or both. */
    scope: z.enum(['raw', 'ticket', 'both']),
    name: z
      .string()
      .regex(/^[a-z0-9_-]{1,30}$/, 'name is 1 to 30 of a-z, 0-9, - and _')
      .optional(),
    pattern: z.string().min(1).max(500).optional(),
  })
  .refine((rule) => (rule.kind === 'pattern') === (rule.pattern !== undefined), {
    message: 'pattern is what a rule of kind pattern has, and no other',
  })
export type RedactionRule = z.infer<typeof RedactionRule>

export const RedactionRules = z.array(RedactionRule).max(50)

export type Redaction = {
  /** Body bytes as they are kept; the same Buffer when nothing was found. */
  body: (bytes: Buffer, contentType: string) => Buffer
  /** Any other raw text that is kept: a path, the value of a header. */
  rawText: (text: string) => string
  /** The ticket as it is kept. Ids stay apart from each other, see `idMarker`. */
  draft: (draft: TicketDraft) => TicketDraft
  hasRaw: boolean
  hasTicket: boolean
}

/**
 * What removes personal data before it is stored: each found text becomes `[email]`, `[phone]`, `[card]`, `[iban]` or
 * the name of its pattern. Null when there is nothing to do. Throws AppError `malformed` for a pattern that RE2 refuses.
 *
 * An id is what a ticket is known by when it is sent again. Where an address or a number is found in one, its marker
 * has a digest in it, so that two ids stay two and one stays one. The Message-ID of a mail, which only looks like an
 * address, stays as it is.
 */
export function compileRedaction(rules: readonly RedactionRule[], digest: Digest): Redaction | null {
  if (rules.length === 0) return null
  const errors: FieldError[] = []
  const patterns = rules.map((rule, index) => (rule.kind === 'pattern' ? compilePattern(rule, index, errors) : null))
  if (errors.length > 0) failFields(errors)
  const redactorOf = (other: 'raw' | 'ticket') => {
    const isIn = ({ scope }: RedactionRule) => scope !== other
    const kinds = new Set(rules.filter(isIn).map(({ kind }) => kind))
    const own = patterns.filter((pattern, index) => pattern !== null && isIn(rules[index] as RedactionRule))
    return { kinds, redact: createRedactor(kinds, own as Pattern[], digest) }
  }
  const raw = redactorOf('ticket')
  const ticket = redactorOf('raw')
  const hasRaw = raw.kinds.size > 0
  const hasTicket = ticket.kinds.size > 0
  return {
    body: (bytes, contentType) => (hasRaw ? redactBytes(bytes, contentType, raw.redact) : bytes),
    rawText: (text) => (hasRaw ? redactPath(text, raw.redact) : text),
    draft: (draft) => (hasTicket ? redactDraft(draft, ticket.redact, ticket.kinds.has('email')) : draft),
    hasRaw,
    hasTicket,
  }
}

/** Hex, by a secret key: from a plain hash a number would be guessed in no time. */
export type Digest = (text: string) => string

type Pattern = { marker: string; re: RE2JS }

const MAX_PROGRAM = 1000

function compilePattern(
  { pattern = '', name = 'pattern' }: RedactionRule,
  index: number,
  errors: FieldError[],
): Pattern | null {
  const refuse = (why: string): null => {
    errors.push({ field: `redaction.${index}.pattern`, message: `Redaction: the pattern of ${name} ${why}` })
    return null
  }
  try {
    const re = RE2JS.compile(RE2JS.translateRegExp(pattern))
    if (re.programSize() > MAX_PROGRAM) return refuse('is too large: repeat less')
    if (re.test('')) return refuse('matches nothing at all: it has to match at least one character')
    return { marker: `[${name}]`, re }
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace('error parsing regexp: ', '') : ''
    return refuse(`is not available: ${reason}. Patterns are those of RE2: no back-references, no look-around`)
  }
}

/** Where two kinds could be meant, the first of these is: the most certain first. */
const FINDERS: readonly [string, Finder][] = [
  ['iban', ibans],
  ['card', cards],
  ['email', emails],
  ['phone', phones],
]

function createRedactor(kinds: ReadonlySet<string>, patterns: readonly Pattern[], digest: Digest): RedactText {
  const finders = FINDERS.filter(([kind]) => kinds.has(kind))
  const redact: RedactText = (text, role) => {
    if (role === 'message ids') return text
    const lines = role === 'text' && text.includes(':') ? text.split(MESSAGE_ID_LINES) : []
    if (lines.length > 1) return lines.map((line, index) => (index % 2 === 1 ? line : redact(line, role))).join('')
    let result = text
    const marking =
      (marker: string): Replace =>
      (found) =>
        role === 'id' ? idMarker(marker, digest(found.toLowerCase())) : marker
    if (/[@%\d]/.test(text)) {
      for (const [kind, find] of finders) result = find(result, marking(`[${kind}]`))
    }
    for (const { re, marker } of patterns) {
      if (re.test(result)) result = replacePattern(result, re, marking(marker))
    }
    return result
  }
  return redact
}

/** The headers of a mail whose values look like addresses. */
const MESSAGE_ID_LINES = /(^(?:message-id|in-reply-to|references|resent-message-id):(?:\s{0,4}<[^<>\s]{1,998}>)+)/im

// What stands for what was removed, by any rule.
const MARKER = /\[[a-z0-9_-]{1,50}\]/g

/** A match in a marker is none, and one that cuts a marker takes all of it: what is redacted already stays so. */
function replacePattern(text: string, re: RE2JS, replace: Replace): string {
  const markers = [...text.matchAll(MARKER)].map(({ 0: marker, index }) => ({
    start: index,
    end: index + marker.length,
  }))
  const matcher = re.matcher(text)
  let result = ''
  let done = 0
  let next = 0
  for (let from = 0; from <= text.length && matcher.find(from);) {
    let [start, end] = [matcher.start(), matcher.end()]
    while (next < markers.length && (markers[next]?.end ?? 0) <= start) next += 1
    const first = markers[next]
    if (first !== undefined && first.start <= start && end <= first.end) {
      from = first.end
      continue
    }
    if (first !== undefined && first.start < start) start = first.start
    while (next < markers.length && (markers[next]?.start ?? 0) < end) {
      end = Math.max(end, markers[next]?.end ?? 0)
      next += 1
    }
    if (end > start) {
      result += text.slice(done, Math.max(done, start)) + replace(text.slice(Math.max(done, start), end))
      done = end
    }
    from = Math.max(end, from + 1)
  }
  return done === 0 ? text : result + text.slice(done)
}

/** Twelve letters, so that no rule takes them for a number. */
const idMarker = (marker: string, digest: string): string =>
  `${marker.slice(0, -1)}-${digest.slice(0, 12).replaceAll(/\d/g, (digit) => String.fromCharCode(103 + Number(digit)))}]`

function redactDraft(draft: TicketDraft, redact: RedactText, hidesEmail: boolean): TicketDraft {
  const text = (value: string | null) => (value === null ? null : redact(value, 'text'))
  const isMail = draft.platform === 'email'
  const id = (value: string): string => (isMail && isMessageId(value) ? value : redact(value, 'id'))
  const commentOf = (comment: Comment): Comment => ({
    ...comment,
    id: comment.id === null ? null : id(comment.id),
    body: redact(comment.body, 'text'),
    author: text(comment.author),
    author_id: text(comment.author_id),
  })
  const { event } = draft
  const userEmail = text(draft.userEmail)
  return {
    ...draft,
    account: redact(draft.account, 'id'),
    externalId: draft.externalId === null ? null : id(draft.externalId),
    title: text(draft.title),
    description: text(draft.description),
    category: text(draft.category),
    userId: text(draft.userId),
    // A field of an address holds one or none.
    userEmail: hidesEmail || userEmail !== draft.userEmail ? null : userEmail,
    metadata: metadataOf(draft.metadata, redact, id),
    event: event && {
      ...event,
      comment: event.comment && commentOf(event.comment),
      standIn: { title: redact(event.standIn.title, 'text'), description: redact(event.standIn.description, 'text') },
      reply: event.reply && { to: event.reply.to.map(id), comment: commentOf(event.reply.comment) },
    },
  }
}

const isMessageId = (text: string): boolean => /^<[^<>\s]+>$/.test(text)

function metadataOf(
  metadata: Record<string, unknown>,
  redact: RedactText,
  id: (value: string) => string,
): Record<string, unknown> {
  const result = redactValue(metadata, null, redact) as Record<string, unknown>
  const { platform, external_id: externalId } = metadata
  if (platform !== undefined) result['platform'] = platform
  // As the ticket's own: the two are compared.
  if (typeof externalId === 'string') result['external_id'] = id(externalId)
  return result
}

/** Each string in it, and each number that is one. Recurses as deep as the value, which the intake has bounded. */
function redactValue(value: unknown, key: string | null, redact: RedactText): unknown {
  if (typeof value === 'string') return redact(value, roleOf(key, value))
  if (typeof value === 'number') {
    const [said, kept] = [String(value), redact(String(value), roleOf(key, ''))]
    return said === kept ? value : kept
  }
  if (Array.isArray(value)) return value.map((item) => redactValue(item, key, redact))
  if (!isObject(value)) return value
  const names = new Map<string, number>()
  // fromEntries defines each key, so that one named __proto__ stays data.
  return Object.fromEntries(
    Object.entries(value).map(([name, child]) => [
      distinct(name, redact(name, 'text'), names),
      redactValue(child, name, redact),
    ]),
  )
}
