/**
 * What a text holds of personal data, by shape and check digits. Each reads its text once: what a stranger sends takes
 * time in proportion to its length. They would rather miss one than take an order number for a telephone.
 */
export type Replace = (found: string) => string
export type Finder = (text: string, replace: Replace) => string

const LETTER = /[\p{L}\p{N}\p{M}]/u

const isAlphanumeric = (code: number): boolean =>
  (code >= 48 && code <= 57) || (code >= 97 && code <= 122) || (code >= 65 && code <= 90)

/** Letters of any script; half of a surrogate pair is none. */
const isWord = (code: number): boolean =>
  isAlphanumeric(code) || (code > 0x7f && (code < 0xd800 || code > 0xdfff) && LETTER.test(String.fromCharCode(code)))

// Of what RFC 5322 allows before the @, without what separates addresses from what stands around them, as = and / do.
const LOCAL = new Set([...`._%+-'~!#$*`].map((character) => character.charCodeAt(0)))
const isLocal = (code: number): boolean => isWord(code) || LOCAL.has(code)

const DOMAIN = /^(?:[\p{L}\p{N}][\p{L}\p{N}\p{M}-]*\.)+\p{L}[\p{L}\p{N}\p{M}-]*[\p{L}\p{N}\p{M}]/u
const DOMAIN_LIMIT = 255
/** `icon@2x.png` is a file. */
const SCALED_IMAGE = /^\d+x\.(?:png|jpe?g|gif|webp|svg)$/i
const AT = /@|%40/g

/** E-mail addresses, also of domains in other scripts, and with their @ as a URL writes it. Not `user@localhost`. */
export const emails: Finder = (text, replace) => {
  let result = ''
  let done = 0
  let bound = 0 // the characters of %40 could be a part of what stands before the next @
  for (const { 0: sign, index } of text.matchAll(AT)) {
    const least = Math.max(done, bound)
    bound = index + sign.length
    if (index < done || !isWord(text.charCodeAt(index + sign.length))) continue
    let start = index
    while (start > least && isLocal(text.charCodeAt(start - 1))) start -= 1
    while (start < index && !isWord(text.charCodeAt(start)) && text[start] !== '_') start += 1
    if (start === index) continue
    const after = index + sign.length
    const [domain] = DOMAIN.exec(text.slice(after, after + DOMAIN_LIMIT)) ?? []
    if (domain === undefined || SCALED_IMAGE.test(domain)) continue
    const end = after + domain.length
    result += text.slice(done, start) + replace(text.slice(start, end))
    done = end
  }
  return done === 0 ? text : result + text.slice(done)
}

/** Replaces those matches that `accepts` says yes to: how much of the match it is, in characters, else 0. */
function matching(expression: RegExp, accepts: (found: string, text: string, index: number) => number): Finder {
  return (text, replace) => {
    let result = ''
    let done = 0
    expression.lastIndex = 0
    for (let match = expression.exec(text); match !== null; match = expression.exec(text)) {
      const length = accepts(match[0], text, match.index)
      if (length > 0) {
        result += text.slice(done, match.index) + replace(text.slice(match.index, match.index + length))
        done = match.index + length
      }
      // What was none may still have one in it; a match is bounded, so that this stays linear.
      expression.lastIndex = length > 0 ? done : match.index + 1
    }
    return done === 0 ? text : result + text.slice(done)
  }
}

function isLuhn(digits: string): boolean {
  let sum = 0
  for (let index = 0; index < digits.length; index++) {
    const digit = digits.charCodeAt(digits.length - 1 - index) - 48
    const doubled = index % 2 === 1 ? digit * 2 : digit
    sum += doubled > 9 ? doubled - 9 : doubled
  }
  return sum % 10 === 0
}

/** How card numbers begin, by how long they are: one in ten of all other numbers passes Luhn's check as well. */
const ISSUED: readonly [RegExp, readonly number[]][] = [
  [/^4/, [13, 16, 19]],
  [/^(?:5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/, [16]],
  [/^3[47]/, [15]],
  [/^3(?:0[0-5]|095|[689])/, [14, 16, 19]],
  [/^35(?:2[89]|[3-8])/, [16, 17, 18, 19]],
  [/^6(?:011|2|4[4-9]|5)/, [16, 17, 18, 19]],
  [/^(?:50|5[6-8]|6)/, [16, 19]],
]

const CARD =
  /(?<![A-Za-z0-9.])(?:\d{13,19}|\d{4}([ \u{A0}-])\d{4}\1\d{4}\1\d{1,4}(?:\1\d{1,3})?|\d{4}([ \u{A0}-])\d{6}\2\d{4,5})(?![A-Za-z0-9])/gu

/** Card numbers: in one piece, in fours, or as 4-6-5 and 4-6-4 digits, with spaces or dashes. */
export const cards: Finder = matching(CARD, (found) => {
  const digits = found.replaceAll(/\D/g, '')
  const isIssued = ISSUED.some(([begins, lengths]) => lengths.includes(digits.length) && begins.test(digits))
  return isIssued && isLuhn(digits) && !/^(\d)\1*$/.test(digits) ? found.length : 0
})

const IBAN_LENGTHS: Readonly<Record<string, number>> = Object.fromEntries(
  (
    'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ' +
    'ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 ' +
    'LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 ' +
    'PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30'
  )
    .split(' ')
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
)

function isMod97(iban: string): boolean {
  let rest = 0
  for (const character of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(character, 36)
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97
  }
  return rest === 1
}

const IBAN = /(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ \u{A0}-]?[A-Za-z0-9]){11,30}/gu

/** IBANs of any case, with or without spaces, by the length of their country; of one that is not known, in one piece. */
export const ibans: Finder = matching(IBAN, (found, text, index) => {
  const length = IBAN_LENGTHS[found.slice(0, 2).toUpperCase()]
  let end = 0
  let iban = ''
  while (end < found.length && iban.length < (length ?? 34)) {
    const isPart = isAlphanumeric(found.charCodeAt(end))
    if (!isPart && length === undefined) break
    if (isPart) iban += found[end]
    end += 1
  }
  const isWhole = iban.length === (length ?? iban.length) && !isAlphanumeric(text.charCodeAt(index + end))
  return isWhole && isMod97(iban) ? end : 0
})

const digitsIn = (text: string): number => text.replaceAll(/\D/g, '').length

// 8 to 15 digits after a plus, with at most two separators in a row: "+49 (0)89 12 34-56".
const INTERNATIONAL = matching(
  /(?<![\w+])(?:\+ ?\(?[1-9]|00[1-9](?=\d{0,3}[ \u{A0}./-]))(?:[ \u{A0}()./-]{0,2}\d){7,14}(?!\w)/gu,
  (found) => (digitsIn(found) <= 17 ? found.length : 0),
)

const NORTH_AMERICAN = matching(
  /(?<![\w.+-])(?<!\d[:/])(?:1[ .-])?(?:\([2-9]\d{2}\) ?\d{3}[ .-]\d{4}|[2-9]\d{2}([.-])\d{3}\1\d{4})(?![\w]|[.-]\w)/g,
  (found) => found.length,
)

const BREAK = / ?[-/] ?|[ \u{A0}]/u
/** With its area code, which begins with a zero: "089 / 123456", "020 7946 0958", "06-12345678", "01 23 45 67 89". */
const NATIONAL = matching(
  /(?<![\w.+-])(?<!\d[:/])(?:\(0[1-9]\d{1,4}\) ?|0[1-9])(?:(?: ?[-/] ?|[ \u{A0}])?\d){5,10}(?!\w|(?: ?[-/] ?|[ \u{A0}])\d|-\w|:\d|\.\d)/gu,
  (found) => {
    const [area = '', ...groups] = found.replace(/^\((\d+)\) ?/, '$1 ').split(BREAK)
    const digits = digitsIn(found)
    if (groups.length === 0 || digits < 9 || digits > 12 || area.length > 6) return 0
    if (groups.some((group) => group.length < 2)) return 0
    // A day and a month look like the code of an area; numbers in pairs have five of them.
    const arePairs = groups.length === 4 && groups.every((group) => group.length === 2)
    return area.length > 2 || arePairs || (groups[0] ?? '').length >= 4 ? found.length : 0
  },
)

/** Telephone numbers as people write them. Without a plus, only where something separates their parts. */
export const phones: Finder = (text, replace) =>
  NATIONAL(NORTH_AMERICAN(INTERNATIONAL(text, replace), replace), replace)
