import { compile, type HtmlToTextOptions, type SelectorDefinition } from 'html-to-text'

import { cleanText } from './text.ts'

/**
 * How many elements may be open at once. The parser's time grows with the square of it (200,000 open elements: 10 s),
 * and mails stay far below.
 */
const MAX_OPEN = 500

/** How many lists and quotations may lie in each other: each indents every line in it. */
const MAX_INDENT = 8

const INDENTS = /^(?:blockquote|ol|ul)$/i
const VOID = /^(?:area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr)$/i

/** The earlier message that a mail program puts below an answer. */
const QUOTES = [
  '.gmail_quote_container',
  '.gmail_quote',
  '.yahoo_quoted',
  '.moz-cite-prefix',
  '.protonmail_quote',
  '.zmail_extra',
  '.freshdesk_quote',
  '.helpscout_quote',
  '.front-blockquote',
  'blockquote[type="cite"]',
]

const FORWARDED = /forwarded message|weitergeleitete nachricht|message transféré|mensaje reenviado|messaggio inoltrato/i

const plainText = (selectors: SelectorDefinition[]) =>
  compile({
    wordwrap: false,
    limits: { maxInputLength: 16_777_216, maxDepth: MAX_OPEN },
    selectors: [
      { selector: 'a', options: { hideLinkHrefIfSameAsText: true, noAnchorUrl: true, linkBrackets: ['(', ')'] } },
      { selector: 'img', format: 'skip' },
      { selector: 'ul', options: { itemPrefix: '- ' } },
      ...['h1', 'h2', 'h3', 'h4', 'h5', 'h6'].map((selector) => ({ selector, options: { uppercase: false } })),
      // Most tables in mails are layout: a row is a line, its cells are words of it.
      { selector: 'tr', format: 'block', options: { leadingLineBreaks: 1, trailingLineBreaks: 1 } },
      ...['td', 'th'].map((selector) => ({ selector, format: 'inlineSurround', options: { suffix: ' ' } })),
      { selector: 'p', options: { leadingLineBreaks: 1, trailingLineBreaks: 1 } },
      ...selectors,
    ],
  } satisfies HtmlToTextOptions)

const whole = plainText([])
const withoutQuotes = plainText(QUOTES.map((selector) => ({ selector, format: 'skip' })))

/**
 * HTML to the text that a reader sees: entities resolved, lists and links readable, scripts and styles gone. What an
 * answer quotes of the message before it is folded away, unless nothing else would be left or it is passed on.
 */
export function htmlToText(html: string): string {
  const source = isTooDeep(html) ? flattened(html) : html
  if (FORWARDED.test(source)) return tidy(whole(source))
  return tidy(withoutQuotes(source)) || tidy(whole(source))
}

const TAG = /<(\/?)([a-z][a-z0-9]*)[^<>]*>/gi

function isTooDeep(html: string): boolean {
  let [open, indent] = [0, 0]
  for (const [tag, slash, name = ''] of html.matchAll(TAG)) {
    if (VOID.test(name) || tag.endsWith('/>')) continue
    const step = slash === '/' ? -1 : 1
    open = Math.max(0, open + step)
    if (INDENTS.test(name)) indent = Math.max(0, indent + step)
    if (open > MAX_OPEN || indent > MAX_INDENT) return true
  }
  return false
}

/** What no person wrote is still readable when its tags are gone. */
const flattened = (html: string) =>
  html.replace(TAG, (_tag, _slash, name: string) => (/^(?:br|div|h\d|li|p|tr)$/i.test(name) ? '<br>' : ' '))

function tidy(text: string): string {
  const lines = text.replaceAll('\u00a0', ' ').split('\n')
  return cleanText(lines.map((line) => line.trimEnd()).join('\n')).replace(/\n{3,}/g, '\n\n')
}

/** Whether a text is HTML: it has a tag that HTML has, or an entity. */
export const isHtml = (text: string): boolean => HTML_TAG.test(text) || /&(?:nbsp|amp|lt|gt|quot|#\d{2,5});/.test(text)

const HTML_TAG =
  /<(?:\/?(?:a|b|blockquote|body|br|code|div|em|font|h[1-6]|html|i|img|li|ol|p|pre|span|strong|style|table|tbody|td|tr|u|ul)\b[^<>]*|!doctype[^<>]*)>/i
