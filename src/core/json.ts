import { fail } from './errors.ts'
import { wellFormed } from './text.ts'

/** How deep and how wide a body may be. Real payloads stay far below (the largest Jira issue: 9 levels). */
const MAX_DEPTH = 64
const MAX_KEYS = 100_000
/**
 * A name that has not been seen before costs JSON.parse 30 times as much as one that has: a megabyte of them holds up
 * everybody for a tenth of a second. A thousand tickets say the same few hundred names.
 */
const MAX_NAMES = 5_000
/** `"abc":1,` is as short as most of that many names can be. */
const SHORTEST_ENTRY = 7

// The only way for a NUL or a lone surrogate into valid UTF-8 text: as an escape.
const UNSAFE_ESCAPE = /\\u(?:0000|[dD][89a-fA-F])/

/**
 * JSON text to a value, with the sender's digits kept: a number that a double would round stays the text it was.
 * Strings hold no NUL and no lone surrogate. Throws `malformed` with the position of the fault.
 */
export function parseJson(text: string): unknown {
  const body = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
  if (body.trim() === '') fail('malformed', 'Body is empty; send one ticket as a JSON object')
  if (body.length > MAX_NAMES * SHORTEST_ENTRY) checkNames(body)
  try {
    const rounded: unknown = JSON.parse(body)
    // Before anything that recurses, as JSON.parse does with a reviver: the stack holds what the bounds let through.
    const { isRounded } = checkBounds(rounded)
    const value: unknown = isRounded ? JSON.parse(body, keepDigits) : rounded
    return body.includes('\\u') && UNSAFE_ESCAPE.test(body) ? wellFormedValue(value) : value
  } catch (error) {
    if (error instanceof SyntaxError) fail('malformed', `Body is not valid JSON${describe(error)}`)
    throw error
  }
}

/** As parseJson, and null for what is no JSON. */
export function jsonOrNull(text: string): unknown {
  try {
    return parseJson(text)
  } catch {
    return null
  }
}

function keepDigits(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || context?.source === undefined) return value
  const isRounded = /^-?\d+$/.test(context.source) && value !== 0 && String(value) !== context.source
  return isRounded || !Number.isFinite(value) ? context.source : value
}

/** What V8 says, without the piece of the body that it quotes: a refusal's reason goes into the log. */
function describe({ message }: SyntaxError): string {
  const hint = /control character|after property value|Unterminated/.test(message)
    ? '. A template has to escape quotes and line breaks in what it inserts; a form-encoded body needs no escaping'
    : ''
  const fault = message.endsWith(' is not valid JSON')
    ? (/^Unexpected token '.'/su.exec(message)?.[0] ?? '')
    : message.replace(' in JSON at', ' at')
  return fault === '' ? hint : `: ${wellFormed(fault)}${hint}`
}

/** Throws `malformed` when the text has too many different names. Whether it is JSON at all is not asked here. */
function checkNames(text: string): void {
  const names = new Set<string>()
  for (let from = text.indexOf('"'); from >= 0; from = text.indexOf('"', from)) {
    const end = endOfString(text, from + 1)
    const start = from + 1
    from = end + 1
    while (isBlank(text.charCodeAt(from))) from += 1
    if (text.charCodeAt(from) !== COLON) continue
    names.add(text.slice(start, end))
    if (names.size > MAX_NAMES) fail('malformed', `Body has more than ${MAX_NAMES} different field names`)
  }
}

const COLON = 0x3a
const isBlank = (code: number) => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09

/** Where the quote is that ends the string which begins at `from`, or where the text ends. */
function endOfString(text: string, from: number): number {
  for (let end = text.indexOf('"', from); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = end
    while (escapes > from && text.charCodeAt(escapes - 1) === 0x5c) escapes -= 1
    if ((end - escapes) % 2 === 0) return end
  }
  return text.length
}

/**
 * Throws `malformed` when the value is nested too deep or has too many keys. Says whether a number in it may be another
 * than was written: up to this one a double holds each whole number, and a fraction is taken as it comes.
 */
export function checkBounds(root: unknown): { isRounded: boolean } {
  let keys = 0
  let isRounded = false
  const visit = (value: unknown, depth: number): void => {
    if (typeof value === 'number') isRounded ||= Math.abs(value) > Number.MAX_SAFE_INTEGER
    if (typeof value !== 'object' || value === null) return
    if (depth > MAX_DEPTH) fail('malformed', `Body is nested deeper than ${MAX_DEPTH} levels`)
    const children = Array.isArray(value) ? value : Object.values(value)
    keys += children.length
    if (keys > MAX_KEYS) fail('malformed', `Body has more than ${MAX_KEYS} values`)
    for (const child of children) visit(child, depth + 1)
  }
  visit(root, 1)
  return { isRounded }
}

/** The value with every string and key in it well-formed. Recurses as deep as the value: check the bounds first. */
export function wellFormedValue(value: unknown): unknown {
  if (typeof value === 'string') return wellFormed(value)
  if (Array.isArray(value)) return value.map(wellFormedValue)
  if (!isObject(value)) return value
  // fromEntries defines each key, so that a key named __proto__ stays data.
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [wellFormed(key), wellFormedValue(child)]))
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
