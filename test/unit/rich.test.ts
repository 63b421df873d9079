import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { adfToText } from '../../src/core/adf.ts'
import { htmlToText, isHtml } from '../../src/core/html.ts'
import { richHtml, withoutQuotedReply } from '../../src/core/rich.ts'
import { wikiToText } from '../../src/core/wiki.ts'

describe('HTML becomes what a reader sees', () => {
  test.each([
    ['blocks and line ends', '<div>a</div><div>b<br>c</div><p>d</p>', 'a\nb\nc\nd'],
    ['entities', 'Fish &amp; chips&nbsp;&lt;3 &#8364;5 &eacute;', 'Fish & chips <3 €5 é'],
    ['lists', '<ul><li>a</li><li>b</li></ul><ol><li>c</li><li>d</li></ol>', '- a\n- b\n\n 1. c\n 2. d'],
    ['a link with its address', '<a href="https://x.example/a">here</a>', 'here (https://x.example/a)'],
    ['a link that is its address once', '<a href="https://x.example">https://x.example</a>', 'https://x.example'],
    ['a mail address once', '<a href="mailto:a@b.example">a@b.example</a>', 'a@b.example'],
    [
      'a table row by row',
      '<table><tr><th>Order</th><td>17</td></tr><tr><th>State</th><td>late</td></tr></table>',
      'Order 17\nState late',
    ],
    ['code as it is', '<pre>if (a)\n  b()</pre>', 'if (a)\n  b()'],
    [
      'no script, style or image',
      '<style>p{}</style><script>alert(1)</script><p>x<img src="cid:1" alt="logo"></p>',
      'x',
    ],
    ['a heading in its own case', '<h1>Printer</h1><p>on fire</p>', 'Printer\n\non fire'],
    ['tags that are never closed', '<p>a<p>b<div>c', 'a\nb\nc'],
    [
      'what is quoted in the text',
      '<p>You wrote:</p><blockquote>pay</blockquote><p>I did.</p>',
      'You wrote:\n\n> pay\n\nI did.',
    ],
  ])('%s', (_name, html, text) => {
    expect(htmlToText(html)).toBe(text)
  })

  test.each([
    ['Gmail', '<div>New address.</div><div class="gmail_quote">On Monday Ann wrote:<blockquote>old</blockquote></div>'],
    ['Apple Mail', '<div>New address.</div><blockquote type="cite">old</blockquote>'],
    [
      'Thunderbird',
      '<p>New address.</p><div class="moz-cite-prefix">On 1.1. Ann wrote:</div><blockquote type="cite">old</blockquote>',
    ],
    ['Yahoo', '<div>New address.</div><div class="yahoo_quoted">old</div>'],
  ])('an answer in %s is shown without what it quotes', (_name, html) => {
    expect(htmlToText(html)).toBe('New address.')
  })

  test('a mail that is only passed on keeps what it passes on', () => {
    const forwarded = '<div>fyi</div><div class="gmail_quote">---------- Forwarded message ---------<br>It burns.</div>'
    expect(htmlToText(forwarded)).toContain('It burns.')
    expect(htmlToText('<blockquote type="cite">all there is</blockquote>')).toContain('all there is')
  })

  test.each(['<div>'.repeat(100_000), '<ol><li>'.repeat(60_000), `${'<blockquote>'.repeat(9)}a<br>`.repeat(1_000)])(
    'nesting that no person wrote (%#) is read flat, and its words are kept',
    (html) => {
      const text = htmlToText(`${html}burning`)
      expect(text).toContain('burning')
      expect(text.length).toBeLessThanOrEqual(html.length)
    },
  )

  test('any HTML at all is read without a fault', () => {
    const pieces = fc.constantFrom(
      '<div>',
      '</div>',
      '<a href="',
      '">',
      '<',
      '>',
      '&',
      '&#0;',
      'x',
      '<ul><li>',
      '<!--',
      '<table><tr><td>',
      '<pre>',
      '\n',
    )
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 60 }), (parts) => {
        expect(typeof htmlToText(parts.join(''))).toBe('string')
      }),
    )
  })

  test.each(['<p>x</p>', 'a<br>b', 'a &amp; b', 'x&nbsp;y', '<!DOCTYPE html>'])('%j is HTML', (text) => {
    expect(isHtml(text)).toBe(true)
  })

  test.each(['a < b and c > d', 'R&D', 'Vec<int> is odd', 'if (a<b) {', '<script-name> fails', 'ann <ann@a.example>'])(
    '%j is not, and is left as it is',
    (text) => {
      expect(isHtml(text)).toBe(false)
      expect(richHtml(text)).toEqual({ text })
    },
  )

  test('the original is kept where it says more than the text', () => {
    expect(richHtml('<p>x</p>')).toEqual({ text: 'x', original: '<p>x</p>' })
    expect(richHtml('<img src="x">')).toEqual({ text: null, original: '<img src="x">' })
  })
})

const doc = (...content: unknown[]) => ({ type: 'doc', version: 1, content })
const p = (...content: unknown[]) => ({ type: 'paragraph', content })
const t = (text: string, marks: unknown[] = []) => ({ type: 'text', text, marks })

describe('Atlassian Document Format becomes what a reader sees', () => {
  test.each([
    ['paragraphs', doc(p(t('a'), t(' b')), p(t('c'))), 'a b\n\nc'],
    ['a line break', doc(p(t('a'), { type: 'hardBreak' }, t('b'))), 'a\nb'],
    [
      'lists in lists',
      doc({
        type: 'orderedList',
        content: [
          {
            type: 'listItem',
            content: [p(t('one')), { type: 'bulletList', content: [{ type: 'listItem', content: [p(t('in'))] }] }],
          },
          { type: 'listItem', content: [p(t('two'))] },
        ],
      }),
      '1. one\n  - in\n2. two',
    ],
    ['code', doc({ type: 'codeBlock', content: [t('a {\n  b\n}')] }), 'a {\n  b\n}'],
    [
      'a mention and an emoji',
      doc(
        p({ type: 'mention', attrs: { id: '1', text: '@Ann' } }, t(' '), {
          type: 'emoji',
          attrs: { shortName: ':fire:' },
        }),
      ),
      '@Ann :fire:',
    ],
    [
      'a card and a link',
      doc(
        p(
          { type: 'inlineCard', attrs: { url: 'https://a.example' } },
          t(' see '),
          t('this', [{ type: 'link', attrs: { href: 'https://b.example' } }]),
        ),
      ),
      'https://a.example see this (https://b.example)',
    ],
    ['a file', doc({ type: 'mediaSingle', content: [{ type: 'media', attrs: { id: 'x' } }] }), '[attachment]'],
    [
      'a table',
      doc({
        type: 'table',
        content: [
          {
            type: 'tableRow',
            content: [
              { type: 'tableHeader', content: [p(t('a'))] },
              { type: 'tableCell', content: [p(t('b'))] },
            ],
          },
        ],
      }),
      'a | b',
    ],
    [
      'tasks',
      doc({
        type: 'taskList',
        content: [
          { type: 'taskItem', attrs: { state: 'DONE' }, content: [t('x')] },
          { type: 'taskItem', content: [t('y')] },
        ],
      }),
      '[x] x\n[ ] y',
    ],
    [
      'a date and a status',
      doc(
        p({ type: 'date', attrs: { timestamp: '1795166100000' } }, t(' '), { type: 'status', attrs: { text: 'LATE' } }),
      ),
      '2026-11-20 LATE',
    ],
    [
      'a node of tomorrow',
      doc({ type: 'hologram', content: [p(t('still read'))] }, { type: 'newLeaf', attrs: { text: 'and this' } }),
      'still read\n\nand this',
    ],
  ])('%s', (_name, document, text) => {
    expect(adfToText(document)).toBe(text)
  })

  test('any tree at all is read without a fault, and never as [object Object]', () => {
    const { node } = fc.letrec((tie) => ({
      node: fc.record(
        {
          type: fc.oneof(
            fc.constantFrom(
              'doc',
              'paragraph',
              'text',
              'bulletList',
              'orderedList',
              'mention',
              'table',
              'expand',
              'date',
            ),
            fc.anything(),
          ),
          text: fc.anything(),
          attrs: fc.oneof(
            fc.anything(),
            fc.record({ text: fc.anything(), order: fc.anything(), timestamp: fc.anything() }),
          ),
          content: fc.oneof({ maxDepth: 4 }, fc.anything(), fc.array(tie('node'))),
          marks: fc.anything(),
        },
        { requiredKeys: [] },
      ),
    }))
    fc.assert(
      fc.property(node, (tree) => {
        expect(adfToText(tree as Record<string, unknown>)).not.toContain('[object ')
      }),
    )
  })
})

describe('wiki markup becomes what a reader sees', () => {
  test.each([
    [
      'h3. Steps:\n# open\n# pay\n\n*Expected* 19% but got {{7%}}',
      'Steps:\n1. open\n2. pay\n\nExpected 19% but got 7%',
    ],
    ['* a\n** b\n* c', '- a\n  - b\n- c'],
    ['# a\n## b\n# c\ntext\n# d', '1. a\n  1. b\n2. c\ntext\n1. d'],
    ['_so_ +it+ is, (*really*)', 'so it is, (really)'],
    ['2*3*4 and snake_case_name and a_b', '2*3*4 and snake_case_name and a_b'],
    ['[the page|https://a.example/x] and [https://b.example]', 'the page (https://a.example/x) and https://b.example'],
    ['ask [~accountid:5b10] or [~ann]', 'ask @5b10 or @ann'],
    ['{code:java}\n*not bold*\n{code}\nafter *bold*', '*not bold*\n\nafter bold'],
    ['{quote}said{quote} {color:red}red{color}', 'said red'],
    ['||Order||State||\n|17|late|', 'Order | State\n17 | late'],
    ['see !screen.png|thumbnail!', 'see [screen.png]'],
    ['bq. quoted', 'quoted'],
    ['plain - with a dash\nand -5 degrees', 'plain - with a dash\nand -5 degrees'],
  ])('%j', (wiki, text) => {
    expect(wikiToText(wiki)).toBe(text)
  })
})

describe('a mail is shown without what it quotes', () => {
  test.each([
    ['Use the new one.\n\n> On Monday you wrote:\n> ...', 'Use the new one.'],
    ['Yes.\n\nOn Mon, Nov 3, 2026 at 9:00 AM Bob <bob@x.example> wrote:\n> hi\n> there\n', 'Yes.'],
    ['Ja.\n\nAm 03.11.2026 um 09:00 schrieb Bob:\n> hallo\n', 'Ja.'],
    ['Yes.\n\n-----Original Message-----\nFrom: a\n\nold', 'Yes.'],
    ['Yes.\n\n________________________________\nFrom: a\n\nold', 'Yes.'],
    [
      '> question one\nanswer one\n> question two\nanswer two',
      '> question one\nanswer one\n> question two\nanswer two',
    ],
    ['> all of it is quoted', '> all of it is quoted'],
    ['no quotation\nat all', 'no quotation\nat all'],
    ['I get an error that says:\n> disk full', 'I get an error that says:'],
  ])('%j', (mail, text) => {
    expect(withoutQuotedReply(mail)).toBe(text)
  })
})
