import { isObject } from './json.ts'
import type { Comment, FieldChange, Ticket } from './ticket.ts'

/** What stands where something about a person was. */
export const ERASED_TEXT = '[erased]'

/** Finds one address in texts and takes it out of them. */
export type Eraser = {
  email: string
  /** Whether prose names the address: in any case, and in whatever a sender or a mail program makes of it. */
  mentions: (text: string) => boolean
  /** The same of ids, and of requests that are full of them, in which it may be a part: `user-a@b.c-7`. */
  isWithin: (text: string) => boolean
  /** The text with each mention replaced. `isId` as in isWithin. */
  without: (text: string, isId?: boolean) => string
  /** The same of JSON text, value by value: what looks like a mention across an escape is none. */
  withoutInJson: (json: string, isId?: boolean) => string
}

// However its @ is written; most texts have none, and are spared the rest.
const AT = /@|40|&(?:amp;)?(?:#|commat)/i
/** Base64 in base64 (an encoded mail in an encoded mail) is looked into this deep. */
const DEPTH = 3
// Lines of an encoded part may be folded; in JSON a slash may be escaped, and the folds are.
const BASE64 = /[\w+/-](?:[\w+/-]|\\\/|%2[bf]|\r|\n|\\r|\\n|%0[ad]){10,}/gi
const FOLDS = /\r|\n|\\r|\\n|%0[ad]|\\/gi

// What may stand before an address as an escape, though its last character is a letter or a digit.
const PUNCTUATION = '(?:[0-2][0-9a-f]|3[a-f]|40|5[b-f]|60|7[b-f])'
const ESCAPE = String.raw`%${PUNCTUATION}|\\u00${PUNCTUATION}|\\[bfnrt]|=(?:3D|20|0A|22|3C)`

/**
 * Mentions are found plain, in any case, percent-encoded (also twice), with JSON escapes (also of JSON in JSON), as HTML
 * entities, quoted-printable, and in base64 of any of these. In prose the address must not be part of a longer one:
 * neither `joann@x.io` nor `mary-ann@x.io` is `ann@x.io`. In ids and requests only a letter or a digit makes it a longer
 * one. Not found: what is compressed, encrypted or a picture.
 */
export function createEraser(email: string): Eraser {
  const address = email.trim().toLowerCase()
  const spelled = [...address].map(spellings).join('(?:=\\r?\\n)?')
  const pattern = (part: string, dot: string) =>
    new RegExp(`(?:(?<!${part})|(?<=${ESCAPE}))${spelled}(?!${dot})`, 'giu')
  const inProse = pattern('[\\p{L}\\p{N}._+-]', '[\\p{L}\\p{N}-]|\\.[\\p{L}\\p{N}]')
  const inIds = pattern('[\\p{L}\\p{N}]', '[\\p{L}\\p{N}]')

  const has = (text: string, search: RegExp, depth: number): boolean => {
    search.lastIndex = 0
    if (AT.test(text) && search.test(text)) return true
    if (depth === 0) return false
    if (text.includes('\0') && has(withoutNuls(text), search, depth)) return true
    for (const [run] of text.matchAll(BASE64)) if (decodedHas(run, search, depth - 1)) return true
    return false
  }
  const decodedHas = (run: string, search: RegExp, depth: number): boolean => {
    const plain = percentDecoded(run.replaceAll(FOLDS, ''))
    // What stands before it (a boundary, a name) may look like base64 as well, and shift it.
    for (let start = 0; start < 4; start += 1) {
      const text = Buffer.from(plain.slice(start), 'base64').toString('latin1')
      if (text.length >= address.length && has(text, search, depth)) return true
    }
    return false
  }

  const without = (text: string, isId = false): string => {
    const search = isId ? inIds : inProse
    if (!has(text, search, DEPTH)) return text
    return text
      .replaceAll(search, ERASED_TEXT)
      .replaceAll(BASE64, (run) => (decodedHas(run, search, DEPTH - 1) ? ERASED_TEXT : run))
  }
  const withoutInValue = (value: unknown, isId: boolean): unknown => {
    if (typeof value === 'string') return without(value, isId)
    if (Array.isArray(value)) return value.map((one) => withoutInValue(one, isId))
    if (!isObject(value)) return value
    const entries = Object.entries(value).map(([key, one]) => [without(key, isId), withoutInValue(one, isId)])
    return Object.fromEntries(entries)
  }

  return {
    email: address,
    mentions: (text) => has(text, inProse, DEPTH),
    isWithin: (id) => has(id, inIds, DEPTH),
    without,
    withoutInJson: (json, isId = false) =>
      has(json, isId ? inIds : inProse, DEPTH) ? JSON.stringify(withoutInValue(JSON.parse(json), isId)) : json,
  }
}

/** UTF-16 of ASCII has a NUL beside each character. */
const withoutNuls = (text: string) => text.replaceAll('\0', '')

const percentDecoded = (text: string) =>
  text.replaceAll(/%(2[bf]|3d)/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))

/** One character of an address in all the ways in which it is written. */
function spellings(character: string): string {
  const forms = new Set([character, character.toUpperCase()].filter((form) => [...form].length === 1))
  const all = [...forms].flatMap((form) => {
    const bytes = [...Buffer.from(form)].map((byte) => byte.toString(16).padStart(2, '0'))
    const units = Array.from({ length: form.length }, (_, index) =>
      form.charCodeAt(index).toString(16).padStart(4, '0'),
    )
    const code = form.codePointAt(0) ?? 0
    return [
      String.raw`\u{${code.toString(16)}}`,
      bytes.map((byte) => `%(?:25){0,3}${byte}`).join(''),
      units.map((unit) => String.raw`\\{1,8}u${unit}`).join(''),
      `&(?:amp;)?#(?:x0{0,4}${code.toString(16)}|0{0,4}${code});`,
      bytes.map((byte) => `=${byte}`).join(''),
    ]
  })
  if (character === '@') all.push('&(?:amp;)?commat;')
  return `(?:${all.join('|')})`
}

/** A ticket of the person: what it was about goes; that it was there, how it was sorted and how it ended stays. */
export function erasedTicket(ticket: Ticket, eraser: Eraser): Ticket {
  const { platform, external_id: externalId } = JSON.parse(ticket.metadata) as Record<string, unknown>
  const identity = Object.entries({ platform, external_id: externalId }).filter(
    ([, value]) => typeof value === 'string' && !eraser.isWithin(value),
  )
  return {
    ...ticket,
    title: ERASED_TEXT,
    description: ERASED_TEXT,
    userId: null,
    userEmail: null,
    category: eraser.without(ticket.category, true),
    metadata: JSON.stringify(Object.fromEntries(identity)),
  }
}

/** Another's ticket, without the mentions. With an id that holds the address, glued mentions go too. */
export function ticketWithout(ticket: Ticket, eraser: Eraser, isId: boolean): Ticket {
  const clean = (text: string) => eraser.without(text, isId)
  const { title, description, category, userId, userEmail, metadata } = ticket
  return {
    ...ticket,
    title: clean(title),
    description: clean(description),
    category: clean(category),
    userId: userId && clean(userId),
    userEmail: userEmail && clean(userEmail),
    metadata: eraser.withoutInJson(metadata, isId),
  }
}

// Numbers of tickets are about nobody.
const SORTED = new Set(['status', 'priority', 'category', 'merged_into', 'merged', 'relayed'])

/** Of a ticket of the person: how it was sorted stays on its timeline, and the names of the fields that changed. */
export function erasedChanges(changes: Record<string, FieldChange>, eraser: Eraser): Record<string, FieldChange> {
  const kept: Record<string, FieldChange> = {}
  for (const [path, change] of Object.entries(changes)) {
    const isKept = SORTED.has(path) && !eraser.isWithin(JSON.stringify(change))
    const field = path.split('.', 1)[0] ?? ''
    kept[field] = isKept ? change : { from: ERASED_TEXT, to: ERASED_TEXT }
  }
  return kept
}

export const erasedComment = (comment: Comment): Comment => ({
  id: null,
  body: ERASED_TEXT,
  public: comment.public,
  author: null,
  author_id: null,
  by_staff: comment.by_staff,
})
