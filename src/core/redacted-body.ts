import { isUtf8 } from 'node:buffer'

/** What a text is: words; an id, whose markers stay apart; or the ids of mails, which look like addresses. */
export type Role = 'text' | 'id' | 'message ids'
export type RedactText = (text: string, role: Role) => string

const ID_NAMES = new Set(['id', 'externalid', 'ticketid'])
const MESSAGE_ID_NAMES = new Set(['messageid', 'inreplyto', 'references', 'resentmessageid'])

/** What the value under this name is. A value is taken for the ids of mails only where it is nothing else. */
export function roleOf(name: string | null, value: string): Role {
  const plain = name?.toLowerCase().replaceAll(/[-_ ]/g, '') ?? ''
  if (ID_NAMES.has(plain)) return 'id'
  return MESSAGE_ID_NAMES.has(plain) && /^\s*<[^<>\s]+>(?:[\s,]+<[^<>\s]+>)*\s*$/.test(value) ? 'message ids' : 'text'
}

/** Two names that became one marker stay two. */
export function distinct(before: string, after: string, names: Map<string, number>): string {
  if (before === after) return after
  const count = (names.get(after) ?? 0) + 1
  names.set(after, count)
  return count === 1 ? after : `${after} ${count}`
}

/**
 * The body with what the rules find removed, told apart as the intake tells bodies apart: JSON by its tokens and forms
 * by their fields, each decoded first and written anew only where something was found; anything else as text. A part of
 * a multipart body that is encoded (base64, or JSON with escapes) is left as it is.
 */
export function redactBytes(bytes: Buffer, contentType: string, redact: RedactText): Buffer {
  const isText = isUtf8(bytes)
  const text = bytes.toString(isText ? 'utf8' : 'latin1')
  const kept = isText ? redactText(text, contentType.toLowerCase(), redact) : redact(text, 'text')
  return kept === text ? bytes : Buffer.from(kept, isText ? 'utf8' : 'latin1')
}

function redactText(text: string, type: string, redact: RedactText): string {
  if (type.startsWith('multipart/')) return redact(text, 'text')
  if (/^[\u{FEFF}\s]*["[{]/u.test(text)) return redactJson(text, redact)
  return type.startsWith('application/x-www-form-urlencoded') ? redactForm(text, redact) : redact(text, 'text')
}

/** A path with its query, or any other line. */
export function redactPath(text: string, redact: RedactText): string {
  const query = /\s/.test(text) ? -1 : text.indexOf('?')
  if (query < 0) return redact(text, 'text')
  return `${redact(text.slice(0, query), 'text')}?${redactForm(text.slice(query + 1), redact)}`
}

function redactForm(text: string, redact: RedactText): string {
  const names = new Map<string, number>()
  const fields = text.split('&').map((field) => {
    const equals = field.indexOf('=')
    const [writtenName, written] = equals < 0 ? [field, null] : [field.slice(0, equals), field.slice(equals + 1)]
    const name = formDecoded(writtenName)
    const keptName = redact(name, 'text')
    const first = keptName === name ? writtenName : formEncoded(distinct(name, keptName, names))
    if (written === null) return first
    const value = formDecoded(written)
    const kept = redactNested(value, roleOf(name, value), redact, 0)
    return `${first}=${kept === value ? written : formEncoded(kept)}`
  })
  return fields.join('&')
}

function formDecoded(written: string): string {
  if (!/[%+]/.test(written)) return written
  const spaced = written.replaceAll('+', ' ')
  try {
    return decodeURIComponent(spaced)
  } catch {
    return spaced.replaceAll(/%([\dA-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  }
}

const formEncoded = (text: string): string => encodeURIComponent(text.toWellFormed()).replaceAll('%20', '+')

/** JSON in JSON in a form is as deep as anybody goes. */
const MAX_NESTING = 3

function redactNested(text: string, role: Role, redact: RedactText, depth: number): string {
  const isJson = depth < MAX_NESTING && /^\s*[[{]/.test(text)
  return isJson ? redactJson(text, redact, depth + 1) : redact(text, role)
}

const NUMBER = /-?\d[\d.eE+-]*/y
const LITERAL = /true|false|null/y

/** The object or array that the walk is in. The names that became markers are few: an object has them when it needs them. */
type Container = { isObject: boolean; name: string | null; names: Map<string, number> | null }

/** Walks over the tokens without descending, so that depth costs nothing. What is no JSON is redacted as text besides. */
function redactJson(text: string, redact: RedactText, depth = 0): string {
  const open: Container[] = []
  let result = ''
  let done = 0
  let isLoose = false
  /** The string before, which names the next where headers are listed: `["Message-Id", "<…>"]`. */
  let before: string | null = null

  const put = (from: number, to: number, written: string): void => {
    result += text.slice(done, from) + written
    done = to
  }
  const roleOfValue = (value: string): Role => {
    const role = roleOf(open.at(-1)?.name ?? null, value)
    return role === 'text' ? (roleOf(before, value) === 'message ids' ? 'message ids' : 'text') : role
  }
  const stringAt = (start: number): number => {
    const end = endOfString(text, start)
    const value = jsonDecoded(text.slice(start + 1, end))
    const container = open.at(-1)
    const isName = container?.isObject === true && isBeforeColon(text, end + 1)
    const kept = isName
      ? distinct(value, redact(value, 'text'), (container.names ??= new Map()))
      : redactNested(value, roleOfValue(value), redact, depth)
    if (isName) container.name = value
    else before = value
    if (kept !== value) put(start + 1, end, JSON.stringify(kept).slice(1, -1))
    return end + 1
  }
  const numberAt = (start: number): number => {
    NUMBER.lastIndex = start
    const [value] = NUMBER.exec(text) ?? []
    if (value === undefined) return start
    const kept = redact(value, roleOfValue(''))
    if (kept !== value) put(start, start + value.length, JSON.stringify(kept))
    return start + value.length
  }
  const literalAt = (start: number): number => {
    LITERAL.lastIndex = start
    return LITERAL.test(text) ? LITERAL.lastIndex : start
  }

  for (let at = text.startsWith('\u{FEFF}') ? 1 : 0; at < text.length;) {
    const character = text.charAt(at)
    if (character === '"') at = stringAt(at)
    else if (character === '{' || character === '[') {
      open.push({ isObject: character === '{', name: null, names: null })
      before = null
      at += 1
    } else if (character === '}' || character === ']') {
      open.pop()
      at += 1
    } else if (' \t\r\n,:'.includes(character)) at += 1
    else {
      const next = character === '-' || (character >= '0' && character <= '9') ? numberAt(at) : literalAt(at)
      if (next === at) isLoose = true
      at = Math.max(next, at + 1)
    }
  }
  const whole = done === 0 ? text : result + text.slice(done)
  return isLoose ? redact(whole, 'text') : whole
}

/** Where the closing quote is; the end of the text when there is none. */
function endOfString(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && text.charCodeAt(at) !== 34) at += text.charCodeAt(at) === 92 ? 2 : 1
  return Math.min(at, text.length)
}

function isBeforeColon(text: string, from: number): boolean {
  let at = from
  while (' \t\r\n'.includes(text.charAt(at)) && at < text.length) at += 1
  return text.charAt(at) === ':'
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }

/** Also of a string that is not quite JSON. */
const jsonDecoded = (written: string): string =>
  written.includes('\\')
    ? written.replaceAll(/\\(?:u([\dA-Fa-f]{4})|(.))/gsu, (_, hex: string | undefined, character: string) =>
        hex === undefined ? (ESCAPES[character] ?? character) : String.fromCharCode(Number.parseInt(hex, 16)),
      )
    : written
