import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { parseSync } from 'oxc-parser'
import { describe, expect, test } from 'vitest'

import { createEraser } from '../../src/core/erasure.ts'
import { htmlToText, isHtml } from '../../src/core/html.ts'
import { newestEntry } from '../../src/core/journal.ts'
import { parseJson } from '../../src/core/json.ts'
import { mailEvent } from '../../src/core/mail.ts'
import { readMessage } from '../../src/core/mime.ts'
import { priorityFrom, priorityFromLabels } from '../../src/core/priority.ts'
import { parseReceipt } from '../../src/core/receipt.ts'
import { withoutQuotedReply } from '../../src/core/rich.ts'
import { cleanText, clip, isEmail } from '../../src/core/text.ts'
import { wikiToText } from '../../src/core/wiki.ts'
import { authenticateOpen } from '../../src/intake/auth.ts'
import { titleOf } from '../../src/core/article.ts'
import { excerptOf } from '../../src/core/excerpt.ts'
import { parseBody } from '../../src/intake/body.ts'
import flat from '../../src/platforms/flat.ts'
import { adviceFrom } from '../../src/triage/advice.ts'
import { chunksOf } from '../../src/triage/chunks.ts'
import { parseCsv } from '../../src/triage/csv.ts'
import { draftFrom } from '../../src/triage/draft.ts'
import { gramsOf } from '../../src/triage/features.ts'
import { languageOf } from '../../src/triage/language.ts'
import { priorityByRules } from '../../src/triage/priority-rules.ts'
import { ROOT } from '../server.ts'
import { threadMs } from '../thread-time.ts'

const SIZE = 2_500
const GROWTH = 4
/** Linear work grows by 4, quadratic work by 16. */
const LIMIT = 9
/** Below this a measurement says nothing: it is quick whatever its growth, and twenty times over still harmless. */
const QUICK_MS = 4

/** Pieces that make a regular expression try again: runs, near misses, and what its own separators are made of. */
const PIECES = [
  'a',
  ' ',
  '0',
  '1',
  '\n',
  '\r',
  '\t',
  '\0',
  '.',
  '@',
  ':',
  '-',
  '"',
  '\\',
  '\\u',
  '\\u00',
  '(',
  '[',
  '{',
  '<',
  '/',
  '+',
  '%',
  '&',
  '=',
  ';',
  'a.',
  '.a',
  '@a',
  'a@',
  ' a',
  '1-',
  '1 ',
  ':1',
  '1e',
  'xml',
  '+xm',
  'charset=',
  '\u{300}',
  '\u{FEFF}',
  '\u{2028}',
  '😀',
  '\ud83d',
  'é',
]
const ENDS = ['', '\0', '!', 'a', '"', '\n']

/** The shortest of a few runs, in ms. */
function fastest(work: () => unknown): number {
  let best = Infinity
  for (let run = 0; run < 2; run++) {
    const start = threadMs()
    try {
      work()
    } catch {
      // a refusal is an answer
    }
    best = Math.min(best, threadMs() - start)
  }
  return best
}

/** The hostile texts on which the work grows faster than they do. */
function slowOn(work: (text: string) => unknown, pieces = PIECES): string[] {
  const texts = pieces.flatMap((piece) => ENDS.map((end) => ({ piece, end })))
  return texts
    .filter(({ piece, end }) => {
      const text = (size: number) => piece.repeat(Math.ceil(size / piece.length)) + end
      const [short, long] = [text(SIZE), text(SIZE * GROWTH)]
      const isSlow = () => {
        const time = fastest(() => work(long))
        return time > QUICK_MS && time > fastest(() => work(short)) * LIMIT
      }
      return isSlow() && isSlow() && isSlow() // a busy machine is slow once, a bad expression always
    })
    .map(({ piece, end }) => JSON.stringify(`${piece}…${end}`))
}

// Time is measured on a machine that does other things as well: what is really slow is slow each time.
const AGAIN = { retry: 3 }

test('the measure tells a quadratic expression from a linear one', AGAIN, () => {
  expect(slowOn((text) => /\s+$/.test(text), [' '])).toContain('" …!"')
  expect(slowOn((text) => /^\s+/.test(text))).toStrictEqual([])
})

const HEADERS = ['Message-ID', 'In-Reply-To', 'References', 'From', 'To', 'Subject', 'Date', 'X-Priority', 'Precedence']

const incoming = (payload: Record<string, unknown>) => ({ headers: {}, payload })
const request = (type: string) => ({
  id: '',
  sourceId: null,
  url: '',
  receivedAt: 0,
  address: '',
  method: 'POST',
  path: '/',
  headers: { 'content-type': type },
  body: Buffer.alloc(0),
})

const ERASER = createEraser('aaa@a.example')

describe('what reads the sender’s text takes time in proportion to it', AGAIN, () => {
  const readers: Record<string, (text: string) => unknown> = {
    cleanText,
    clip: (text) => clip(text, 500),
    isEmail,
    priorityFrom,
    parseJson,
    'parseJson, in a string': (text) => parseJson(`{"a":"${text}"}`),
    'parseJson, escaped in a string': (text) => parseJson(JSON.stringify({ a: text })),
    htmlToText,
    'htmlToText, in an attribute': (text) => htmlToText(`<a href="${text}">x</a>`),
    'htmlToText, in a tag': (text) => htmlToText(`<b ${text}>x</b>`),
    isHtml,
    wikiToText,
    'wikiToText, in a link': (text) => wikiToText(`[${text}|${text}]`),
    newestEntry,
    'newestEntry, in a heading': (text) => newestEntry(`2026-11-20 09:14:40 - ${text} (${text}\n${text}`),
    withoutQuotedReply,
    'withoutQuotedReply, above a quotation': (text) => withoutQuotedReply(`${text}\n> quoted`),
    priorityFromLabels: (text) => priorityFromLabels([text]),
    parseReceipt,
    gramsOf,
    languageOf,
    priorityByRules: (text) => priorityByRules(text, null),
    parseCsv,
    'parseCsv, in quotes': (text) => parseCsv(`"${text}"`),
    chunksOf: (text) => chunksOf({ title: 'x', body: text, format: 'text' }),
    'the title of an article': (text) => titleOf({ body: text, format: 'markdown', source: null }),
    'the title of an article, after its settings': (text) =>
      titleOf({ body: `---\ntitle: ${text}\n---\n# ${text}`, format: 'markdown', source: text }),
    'the title of an article in HTML': (text) => titleOf({ body: `<h1>${text}`, format: 'html', source: null }),
    'an excerpt': (text) => excerptOf(text, text.slice(0, 500)),
    'a draft': (text) => draftFrom([{ kind: 'ticket', id: 1, title: 'x', text: `a\n${text}`, score: 1 }]),
    'a reply of a model': (text) =>
      adviceFrom(
        {
          category: text,
          priority: 'low',
          summary: text,
          language: text,
          sentiment: 'neutral',
          draft_reply: `http://${text}`,
          citations: ['T1'],
        },
        { title: 'x', description: 'x', categories: [], sources: [{ kind: 'ticket', id: 1, title: 'x', text }] },
      ),
    'an eraser, in prose': (text) => ERASER.without(text, false),
    'an eraser, wherever it stands': (text) => ERASER.without(text, true),
    'a mail, each field': (text) =>
      mailEvent({ headers: [], from: text, to: text, cc: text, subject: text, text, html: text, stripped: text }),
    'a mail, each header': (text) =>
      mailEvent({
        headers: HEADERS.map((name) => [name, text]),
        from: null,
        to: null,
        subject: null,
        text: null,
        html: null,
      }),
    'a whole message': readMessage,
    'a whole message, its parameters': (text) =>
      readMessage(`Content-Type: multipart/mixed${text}\nContent-Disposition: attachment${text}\n\nx`),
    'a whole message, its parts': (text) =>
      readMessage(
        `Content-Type: multipart/mixed; boundary=b\n\n${`\n--b\n${text.slice(0, 9)}`.repeat(text.length / 12)}`,
      ),
    'a whole message, quoted-printable': (text) =>
      readMessage(`Content-Transfer-Encoding: quoted-printable\n\n${text}`),
    'a whole message, base64': (text) => readMessage(`Content-Transfer-Encoding: base64\n\n${text}`),
    'a Host': (text) => authenticateOpen({ host: text }),
    'an Origin': (text) => authenticateOpen({ host: 'localhost', origin: text }),
    'a flat ticket, each field': (text) =>
      flat.read(
        incoming({
          title: text,
          description: text,
          category: text,
          priority: text,
          user_id: text,
          id: text,
          platform: text,
          updated_at: text,
          metadata: { a: text },
        }),
      ),
    'a flat ticket, its time': (text) => flat.read(incoming({ title: 't', description: 'd', updated_at: text })),
    'a flat ticket, its e-mail address': (text) =>
      flat.read(incoming({ title: 't', description: 'd', user_email: text })),
    'a flat ticket, its metadata as text': (text) =>
      flat.read(incoming({ title: 't', description: 'd', metadata: text })),
  }
  test.each(Object.entries(readers))('%s', (_name, read) => {
    expect(slowOn(read)).toStrictEqual([])
  })

  test.each([
    ['a form', 'application/x-www-form-urlencoded', (text: string) => text],
    ['the name of a form field', 'application/x-www-form-urlencoded', (text: string) => `a[${text}]=1`],
    [
      'a form field',
      'application/x-www-form-urlencoded',
      (text: string) => `a=${encodeURIComponent(text.toWellFormed())}`,
    ],
    [
      'a payload in a form',
      'application/x-www-form-urlencoded',
      (text: string) => `payload=${encodeURIComponent(text.toWellFormed())}`,
    ],
    [
      'a multipart form',
      'multipart/form-data; boundary=b',
      (text: string) => `--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n${text}\r\n--b--`,
    ],
    [
      'the head of a part',
      'multipart/form-data; boundary=b',
      (text: string) => `--b\r\nContent-Disposition: form-data; name="${text}"\r\n\r\n\r\n--b--`,
    ],
    ['no type at all', '', (text: string) => text],
  ])('%s', async (_name, type, wrap) => {
    const slow: string[] = []
    for (const piece of PIECES) {
      const time = async (size: number) => {
        const body = Buffer.from(wrap(piece.repeat(Math.ceil(size / piece.length))))
        let best = Infinity
        for (let run = 0; run < 2; run++) {
          const start = threadMs()
          try {
            parseBody(request(type), body)
          } catch {}
          best = Math.min(best, threadMs() - start)
        }
        return best
      }
      const isSlow = async () => {
        const long = await time(SIZE * GROWTH)
        return long > QUICK_MS && long > (await time(SIZE)) * LIMIT
      }
      if ((await isSlow()) && (await isSlow()) && (await isSlow())) slow.push(JSON.stringify(piece))
    }
    expect(slow).toStrictEqual([])
  })
})

/** Each expression of the program, wherever it stands, as the parser of the linter's own family finds it. */
function expressionsIn(code: string, file: string): { source: string; flags: string; where: string }[] {
  const found: { source: string; flags: string; where: string }[] = []
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    if ('regex' in node && typeof node.regex === 'object' && node.regex !== null) {
      const { pattern: source, flags } = node.regex as { pattern: string; flags: string }
      found.push({ source, flags, where: `${file}: /${source}/${flags}` })
    }
    Object.values(node).forEach(visit)
  }
  const { program, errors } = parseSync(file, code)
  if (errors.length > 0) throw new Error(`${file} cannot be parsed`)
  visit(program)
  return found
}

const FILES = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
)
const codeOf = (file: string) => readFileSync(join(ROOT, 'src', file), 'utf8')

describe('every regular expression of ours, on its own', AGAIN, () => {
  const expressions = FILES.flatMap((file) => expressionsIn(codeOf(file), file))

  test('they are found, wherever they stand', () => {
    const hidden =
      'const a = b\n  ? /one/u : c => /two[/]/g // not /this/\nconst t = `${x.replace(/three/, "/four/")}`\nif (a) /five/.test(b / 2 / 3)'
    expect(expressionsIn(hidden, 'a.ts').map(({ source }) => source)).toEqual(['one', 'two[/]', 'three', 'five'])
    expect(FILES.length).toBeGreaterThan(80)
    expect(expressions.length).toBeGreaterThan(150)
    expect(expressions.map(({ source }) => source)).toContain(String.raw`\\u(?:0000|[dD][89a-fA-F])`)
  })

  test('none is built while the program runs but those that a reader above is timed with', () => {
    expect(FILES.filter((file) => /\bRegExp\(/.test(codeOf(file)))).toEqual([
      'core/erasure.ts',
      'core/mime.ts',
      'core/receipt.ts',
    ])
  })

  /** What the expression itself is made of makes it try again as nothing else does. */
  const ownPieces = (source: string) =>
    [...new Set(source.match(/[A-Za-z]{2,}|[^\\[\](){}?*+^$|]/g) ?? [])].slice(0, 12)

  test('one that is slow on its own words only is found out', () => {
    const onlyOnQ = (text: string) => /q+$/.test(text)
    expect(slowOn(onlyOnQ)).toStrictEqual([])
    expect(slowOn(onlyOnQ, ownPieces('q+$'))).toContain('"q…!"')
  })

  test.each(expressions)('$where', ({ source, flags }) => {
    const expression = new RegExp(source, flags.replaceAll(/[gy]/g, ''))
    expect(slowOn((text) => expression.test(text), [...PIECES, ...ownPieces(source)])).toStrictEqual([])
  })
})
