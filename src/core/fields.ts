import { isObject } from './json.ts'
import { cleanText } from './text.ts'

/**
 * A part of a payload together with what was read of it, so that what nobody read can be kept as unmapped. A value of
 * another type than the one asked for counts as absent, and as not read: no sender's mistake is an error of ours.
 */
export type Fields = {
  readonly value: Readonly<Record<string, unknown>>
  /** By key: `true` for what was read whole, else the parts that were looked into. */
  readonly seen: Map<string, true | Fields | Fields[]>
}

export const fieldsOf = (value: unknown): Fields => ({ value: isObject(value) ? value : {}, seen: new Map() })

/** The object at the end of the path; empty when there is none. */
export function at(fields: Fields, ...path: string[]): Fields {
  let found = fields
  for (const key of path) found = child(found, key)
  return found
}

function child(fields: Fields, key: string): Fields {
  const known = fields.seen.get(key)
  if (known !== undefined && known !== true && !Array.isArray(known)) return known
  const value = own(fields, key)
  const made = fieldsOf(value)
  if (isObject(value) && known === undefined) fields.seen.set(key, made)
  return made
}

/** Only what the sender wrote: `constructor` and `toString` are names that real payloads use. */
const own = ({ value }: Fields, key: string): unknown => (Object.hasOwn(value, key) ? value[key] : undefined)

/** Whether there is anything in it. */
export const isFilled = ({ value }: Fields): boolean => Object.keys(value).length > 0

export const has = (fields: Fields, key: string): boolean => Object.hasOwn(fields.value, key)

/** The first of these keys that holds text (or a number, or true or false) that is not blank. */
export function text(fields: Fields, ...keys: string[]): string | null {
  for (const key of keys) {
    const value = own(fields, key)
    if (value === undefined || value === null || typeof value === 'object') continue
    const clean = cleanText(String(value))
    if (clean === '') continue
    fields.seen.set(key, true)
    return clean
  }
  return null
}

/** True or false, also where it is written as text or as a number. */
export function flag(fields: Fields, key: string): boolean | null {
  const word = text(fields, key)?.toLowerCase()
  if (word === 'true' || word === '1') return true
  return word === 'false' || word === '0' ? false : null
}

/** What the sender's word means by this table, whose words are in lower case; null for any other word. */
export function meaning<T>(table: Readonly<Record<string, T>>, word: string | null): T | null {
  const key = word?.trim().toLowerCase() ?? ''
  return Object.hasOwn(table, key) ? (table[key] ?? null) : null
}

/** A point in time in ms since the epoch; see `timeFrom`. */
export const time = (fields: Fields, ...keys: string[]): number | null => timeFrom(text(fields, ...keys))

/** The objects of a list. */
export function list(fields: Fields, key: string): Fields[] {
  const known = fields.seen.get(key)
  if (Array.isArray(known)) return known
  const value = own(fields, key)
  if (!Array.isArray(value) || value.some((item) => !isObject(item))) return []
  const items = value.map(fieldsOf)
  fields.seen.set(key, items)
  return items
}

/** A list of words: an array of texts, or of objects that are known by their `name` or `title`, or "one, two". */
export function words(fields: Fields, key: string): string[] {
  const value = own(fields, key)
  if (value === undefined || value === null) return []
  const found = Array.isArray(value) ? value.map(wordOf) : typeof value === 'object' ? [null] : String(value).split(',')
  if (!found.includes(null)) fields.seen.set(key, true)
  return found.flatMap((word) => (word === null ? [] : cleanText(word) || []))
}

function wordOf(item: unknown): string | null {
  if (isObject(item)) return text(fieldsOf(item), 'name', 'title', 'label')
  return item === null || typeof item === 'object' ? null : String(item)
}

/** The value as it is, whatever it is. */
export function raw(fields: Fields, key: string): unknown {
  const value = own(fields, key)
  if (value !== undefined) fields.seen.set(key, true)
  return value ?? null
}

/** Counts these keys as read: what they say is said elsewhere, or says nothing about the ticket. */
export function skip(fields: Fields, ...keys: string[]): void {
  for (const key of keys) fields.seen.set(key, true)
}

/** What nobody read, without what is empty; null when that is nothing. */
export function rest({ value, seen }: Fields): Record<string, unknown> | null {
  const entries: [string, unknown][] = []
  for (const key of Object.keys(value)) {
    const known = seen.get(key)
    if (known === true) continue
    const left =
      known === undefined ? value[key] : Array.isArray(known) ? known.flatMap((item) => rest(item) ?? []) : rest(known)
    if (!isEmpty(left)) entries.push([key, left])
  }
  // fromEntries defines each key, so that one named __proto__ stays data.
  return entries.length === 0 ? null : Object.fromEntries(entries)
}

export function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined || value === '') return true
  if (typeof value !== 'object') return false
  for (const _ in value) return false
  return true
}

// How an ISO date begins, or that of a mail: "Fri, 20 Nov 2026 10:14:55 +0100".
const DATE = /^(?:\d{4}-\d\d-\d\d|(?:[A-Z][a-z]{2}, ?)?\d{1,2} [A-Z][a-z]{2} \d{4})/

/**
 * ISO 8601, "2026-11-20 09:14:40" (which has no zone, and is taken as UTC), or a number of seconds, milliseconds or
 * microseconds since the epoch, or the date of a mail. Null when it is no time.
 */
export function timeFrom(value: string | null): number | null {
  if (value === null) return null
  if (/^\d{9,16}(\.\d+)?$/.test(value)) return epoch(Number(value))
  if (!DATE.test(value)) return null // the engine reads "7" as a month
  const parsed = Date.parse(/^\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?$/.test(value) ? `${value.replace(' ', 'T')}Z` : value)
  return Number.isNaN(parsed) ? null : parsed
}

function epoch(number: number): number {
  if (number < 1e11) return Math.round(number * 1000)
  return number < 1e14 ? number : Math.round(number / 1000)
}
