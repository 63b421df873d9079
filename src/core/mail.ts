import { addressParser, decodeWords } from 'postal-mime'

import { type Fields, timeFrom } from './fields.ts'
import { isObject, jsonOrNull } from './json.ts'
import { type Attachment, type Header, header } from './mime.ts'
import { ignored, type NativeEvent } from './native.ts'
import { type Priority, priorityFrom, type PriorityScale } from './priority.ts'
import { type Rich, richHtml, withoutQuotedReply } from './rich.ts'
import { cleanText } from './text.ts'

export type Mailbox = { name: string | null; address: string }

/** A mail as a gateway has taken it apart. What is null is looked for in the headers. */
export type Mail = {
  headers: readonly Header[]
  /** The gateway's own id of it, for one that has no Message-ID. */
  gatewayId?: string | null
  /** Its From, To and Cc: as they are written in a mail, or taken apart. */
  from: string | readonly Mailbox[] | null
  to: string | readonly Mailbox[] | null
  cc?: string | readonly Mailbox[] | null
  subject: string | null
  text: string | null
  html: string | null
  /** Its text without what it quotes, where the gateway has told them apart. */
  stripped?: string | null
  /** Who gets its bounces: '' is nobody, which is how programs write. */
  returnPath?: unknown
  attachments?: readonly Attachment[]
  spamScore?: string | null
  metadata?: Record<string, unknown>
}

/** The sender of a mail sets these, so none of them is urgent. */
export const MAIL_PRIORITIES: PriorityScale = {
  1: 'high',
  2: 'high',
  3: 'medium',
  4: 'low',
  5: 'low',
  highest: 'high',
  urgent: 'high',
  high: 'high',
  normal: 'medium',
  low: 'low',
  lowest: 'low',
  'non-urgent': 'low',
}

const PRIORITY_HEADERS = ['x-priority', 'importance', 'priority', 'x-msmail-priority']

/** What only programs write: answering them, or making tickets of them, is how loops begin. Mailing lists are people. */
const AUTOMATIC: Readonly<Record<string, RegExp>> = {
  'auto-submitted': /^(?!no\b)./i,
  precedence: /^(?:bulk|junk|auto[_-]reply)\b/i,
  'x-auto-response-suppress': /^(?!none\b)./i,
  'x-autoreply': /^(?!no\b)./i,
  'x-autorespond': /^(?!no\b)./i,
  'x-failed-recipients': /./,
  'return-path': /^<\s*>$/,
  'x-envelope-from': /^<\s*>$/,
  'content-type': /^multipart\/report\b/i,
}

/** Lines of a mail are shorter than this, and so are ids that a mail program wrote. */
const ID_LIMIT = 998
/** Of a thread, how many of its first mails and of its last are looked for. */
const THREAD_ENDS = 25

/** What no mail program writes is not read: each header is looked through for each of some twenty names. */
const MAX_HEADERS = 1000
const LINE_LIMIT = 65_536

/** A mail as a ticket, or as an answer on the ticket of a mail that it refers to. */
export function mailEvent(given: Mail): NativeEvent {
  const headers = given.headers.slice(0, MAX_HEADERS)
  const mail = { ...given, headers }
  const [from] = mailboxesIn(mail.from ?? header(headers, 'from'))
  if (isAutomatic(mail, from?.address)) return ignored('auto_reply')
  const id = mailId(mail)
  const body = bodyOf(mail)
  const replyTo = threadOf(headers, id)
  const attachments = mail.attachments ?? []
  const subject = decodedText(mail.subject ?? header(headers, 'subject'))
  const date = header(headers, 'date')
  const time = timeFrom(date)
  return {
    kind: 'created',
    ticket: {
      id,
      title: subject ?? (body.text === null && from !== undefined ? '(no subject)' : null),
      description: body,
      priority: priorityOf(headers),
      email: from?.address ?? null,
      metadata: {
        requester_name: from?.name,
        to: addressesIn(mail.to ?? header(headers, 'to')),
        cc: addressesIn(mail.cc ?? header(headers, 'cc')),
        reply_to: addressesIn(header(headers, 'reply-to')),
        date: time === null ? date : new Date(time).toISOString(),
        in_reply_to: replyTo.at(-1),
        list_id: decodedText(header(headers, 'list-id')),
        attachments: attachments.map(withoutNulls),
        spam: spamVerdict(headers),
        spam_score: mail.spamScore ?? header(headers, 'x-spam-score') ?? header(headers, 'x-mailgun-sscore'),
        ...mail.metadata,
      },
    },
    replyTo,
    comment:
      replyTo.length === 0
        ? null
        : {
            id,
            body: withFiles(body.text, attachments) ?? subject,
            public: true,
            author: from?.name ?? from?.address ?? null,
            authorId: from?.address ?? null,
          },
  }
}

/** What identifies a mail, to us and to those who answer it; a gateway's own id serves as well as no other does. */
export const mailId = ({ headers, gatewayId }: Pick<Mail, 'headers' | 'gatewayId'>): string | null =>
  idsIn(header(headers, 'message-id'))[0] ?? gatewayId ?? null

/** The ids in a header, each in angle brackets, as Message-ID writes them. */
function idsIn(value: string | null): string[] {
  const said = value ?? ''
  const bare = () => said.split(/[\s,]+/).flatMap((word) => (word.includes('@') ? [`<${word}>`] : []))
  return (said.match(/<[^<>\s]+>/g) ?? bare()).filter((id) => id.length <= ID_LIMIT)
}

/** The mails that this one follows, oldest first. */
function threadOf(headers: readonly Header[], own: string | null): string[] {
  const ids = new Set([...idsIn(header(headers, 'references')), ...idsIn(header(headers, 'in-reply-to'))])
  if (own !== null) ids.delete(own)
  const thread = [...ids]
  return thread.filter((_, index) => index < THREAD_ENDS || index >= thread.length - THREAD_ENDS)
}

function isAutomatic({ headers, returnPath }: Mail, from: string | undefined): boolean {
  if (typeof returnPath === 'string' && /^<?\s*>?$/.test(returnPath.trim())) return true
  if (/^mailer-daemon(?:@|$)/i.test(from ?? '')) return true
  return headers.some(([name, value]) => {
    const key = name.toLowerCase()
    return Object.hasOwn(AUTOMATIC, key) && AUTOMATIC[key]?.test(value.trim()) === true
  })
}

function priorityOf(headers: readonly Header[]): { is: Priority | null; said: string | null } {
  for (const name of PRIORITY_HEADERS) {
    const said = header(headers, name)
    // "1 (Highest)"
    const [word = null] = /^(?:\d+|[a-z-]+)/i.exec(said ?? '') ?? []
    const is = priorityFrom(word, MAIL_PRIORITIES)
    if (is !== null) return { is: is === 'urgent' ? 'high' : is, said }
  }
  return { is: null, said: null }
}

/** What the writer wrote. What is quoted below it is folded away, unless it is what is passed on. */
function bodyOf({ headers, subject, text, html, stripped }: Mail): Rich {
  const isPassedOn = /^\s*(?:fwd?|wg|tr|rv|enc)\s*:/i.test(subject ?? header(headers, 'subject') ?? '')
  const whole = cleanText(text ?? '')
  if (whole === '' && html !== null) {
    const rich = richHtml(cleanText(html))
    return isPassedOn || rich.text === null ? rich : { ...rich, text: withoutQuotedReply(rich.text) }
  }
  const own = cleanText(stripped ?? '') || withoutQuotedReply(whole)
  if (whole === '' || isPassedOn || own.split(/\s+/).join(' ') === whole.split(/\s+/).join(' ')) {
    return { text: whole || own || null }
  }
  return { text: own, original: whole }
}

/** An answer is a comment, which has no metadata: its files are named in its text. */
function withFiles(text: string | null, attachments: readonly Attachment[]): string | null {
  const files = attachments.flatMap(({ name }) => (name ? [`[attachment: ${name}]`] : []))
  return [text ?? [], files.join('\n') || []].flat().join('\n\n') || null
}

function spamVerdict(headers: readonly Header[]): boolean | null {
  const said = header(headers, 'x-spam-status') ?? header(headers, 'x-mailgun-sflag') ?? header(headers, 'x-spam-flag')
  if (/^yes\b/i.test(said ?? '')) return true
  return /^no\b/i.test(said ?? '') ? false : null
}

/** The addresses of a line such as From or To, with their names decoded. */
function mailboxesIn(line: string | readonly Mailbox[] | null): readonly Mailbox[] {
  if (typeof line !== 'string') return line ?? []
  return addressParser(line.slice(0, LINE_LIMIT), { flatten: true }).flatMap(({ name, address }) =>
    address ? [{ name: cleanText(name) || null, address: cleanText(address) }] : [],
  )
}

const addressesIn = (line: string | readonly Mailbox[] | null): string[] =>
  mailboxesIn(line).map(({ address }) => address)

const decodedText = (written: string | null) => (written === null ? null : cleanText(decodeWords(written)) || null)

const withoutNulls = (attachment: Attachment) =>
  Object.fromEntries(Object.entries(attachment).filter(([, value]) => value !== null && value !== undefined))

/** What a form's field says in JSON, or holds as a value already; null when it is neither. */
export function jsonIn(fields: Fields, key: string): unknown {
  const value = Object.hasOwn(fields.value, key) ? fields.value[key] : null
  return typeof value === 'string' ? jsonOrNull(value) : (value ?? null)
}

/** The files of a form, as the intake has listed them, or the gateway itself. */
export function filesIn(fields: Fields, ...keys: string[]): Attachment[] {
  for (const key of keys) {
    const listed = jsonIn(fields, key)
    if (!Array.isArray(listed)) continue
    return listed.filter(isObject).map((file) => ({
      name: decodedText(textOr(file['name'])),
      type: textOr(file['type'] ?? file['content-type']),
      size: typeof file['size'] === 'number' ? file['size'] : null,
      url: textOr(file['url']),
    }))
  }
  return []
}

const textOr = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)
