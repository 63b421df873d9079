import { createHmac } from 'node:crypto'

import { describe, expect, test } from 'vitest'

import { type Mail, mailEvent } from '../../src/core/mail.ts'
import { type Header, readMessage } from '../../src/core/mime.ts'
import type { NativeEvent } from '../../src/core/native.ts'
import type { SignedRequest } from '../../src/core/signature.ts'
import { isObject } from '../../src/core/json.ts'
import { parseBody } from '../../src/intake/body.ts'
import mailgun from '../../src/platforms/mailgun.ts'
import sendgrid from '../../src/platforms/sendgrid.ts'
import { NOW } from '../fixtures.ts'

const mail = (headers: Header[], more: Partial<Mail> = {}): Mail => ({
  headers: [['Message-ID', '<own@a.example>'], ...headers],
  from: 'Ann <ann@a.example>',
  to: null,
  subject: 'Help',
  text: 'It broke.',
  html: null,
  ...more,
})

function ticketOf(event: NativeEvent) {
  if (!('ticket' in event)) throw new Error(`no ticket: ${JSON.stringify(event)}`)
  return event
}

describe('who wrote it', () => {
  test.each<[name: string, value: string]>([
    ['Auto-Submitted', 'auto-replied'],
    ['auto-submitted', 'auto-generated; owner-email="a@b.example"'],
    ['Precedence', 'bulk'],
    ['Precedence', 'junk'],
    ['Precedence', 'auto_reply'],
    ['X-Auto-Response-Suppress', 'All'],
    ['X-Autoreply', 'yes'],
    ['Return-Path', '<>'],
    ['X-Failed-Recipients', 'bob@example.org'],
    ['Content-Type', 'multipart/report; report-type=delivery-status; boundary=x'],
  ])('%s: %s is a program', (name, value) => {
    expect(mailEvent(mail([[name, value]]))).toEqual({ kind: 'ignored', reason: 'auto_reply' })
  })

  test.each<Partial<Mail>>([
    { from: 'Mail System <MAILER-DAEMON@mx.example>' },
    { returnPath: '' },
    { returnPath: '<>' },
  ])('%o is a program', (more) => expect(mailEvent(mail([], more))).toEqual({ kind: 'ignored', reason: 'auto_reply' }))

  test.each<[name: string, value: string]>([
    ['Auto-Submitted', 'no'],
    ['Precedence', 'list'],
    ['Precedence', 'normal'],
    ['X-Auto-Response-Suppress', 'None'],
    ['X-Autoreply', ''],
    ['Return-Path', '<ann@a.example>'],
    ['List-Id', '<users.lists.example>'],
    ['Content-Type', 'multipart/related; type="text/html"'],
  ])('%s: %s is a person', (name, value) => {
    expect(mailEvent(mail([[name, value]])).kind).toBe('created')
  })

  test.each<[from: string, name: string | undefined, email: string]>([
    ['=?iso-8859-1?Q?J=F6rg_M=FCller?= <j@a.example>', 'Jörg Müller', 'j@a.example'],
    ['"Müller, Jörg" <j@a.example>', 'Müller, Jörg', 'j@a.example'],
    ['Müller, Jörg <j@a.example>', 'Jörg', 'j@a.example'],
    ['<j@a.example>', undefined, 'j@a.example'],
    ['j@a.example (Jörg)', 'Jörg', 'j@a.example'],
  ])('%s', (from, name, email) => {
    const { ticket } = ticketOf(mailEvent(mail([], { from })))
    expect([ticket.metadata?.['requester_name'] ?? undefined, ticket.email]).toEqual([name, email])
  })
})

test.each<[name: string, value: string, priority: string | null]>([
  ['X-Priority', '1 (Highest)', 'high'],
  ['X-Priority', '2', 'high'],
  ['X-Priority', '3', 'medium'],
  ['X-Priority', '5 (Lowest)', 'low'],
  ['Importance', 'High', 'high'],
  ['Importance', 'normal', 'medium'],
  ['Priority', 'urgent', 'high'],
  ['Priority', 'non-urgent', 'low'],
  ['X-MSMail-Priority', 'Critical', 'high'],
  ['X-Priority', 'whatever', null],
])('%s: %s is %s, and never urgent', (name, value, priority) => {
  expect(ticketOf(mailEvent(mail([[name, value]]))).ticket.priority).toMatchObject({ is: priority })
})

describe('what it answers', () => {
  test('the mails before it, oldest first, each once, itself not among them', () => {
    const { replyTo, comment } = ticketOf(
      mailEvent(
        mail([
          ['In-Reply-To', '<3@a.example>'],
          ['References', '<1@a.example> <own@a.example>\t<2@a.example> <1@a.example>'],
        ]),
      ),
    )
    expect(replyTo).toEqual(['<1@a.example>', '<2@a.example>', '<3@a.example>'])
    expect(comment).toMatchObject({ id: '<own@a.example>', body: 'It broke.', authorId: 'ann@a.example' })
  })

  test('of a very long thread, its beginning and its end', () => {
    const ids = Array.from({ length: 200 }, (_, index) => `<${index}@a.example>`)
    const { replyTo } = ticketOf(mailEvent(mail([['References', ids.join(' ')]])))
    expect(replyTo).toHaveLength(50)
    expect([replyTo?.[0], replyTo?.at(-1)]).toEqual(['<0@a.example>', '<199@a.example>'])
  })

  test('nothing: then it is no comment', () => {
    expect(ticketOf(mailEvent(mail([])))).toMatchObject({ replyTo: [], comment: null })
  })

  test('with a file and no word, which is what the comment then says', () => {
    const attachments = [{ name: 'scan.pdf', type: 'application/pdf', size: 5 }]
    const { comment } = ticketOf(mailEvent(mail([['In-Reply-To', '<1@a.example>']], { text: ' ', attachments })))
    expect(comment?.body).toBe('[attachment: scan.pdf]')
  })
})

describe('a whole message', () => {
  const message = (...lines: string[]) => readMessage(lines.join('\r\n'))

  test('of one part', () => {
    const { headers, text } = message('Subject: a', ' b', 'Message-ID: <1@a>', '', 'One', '', 'Two')
    expect(headers).toEqual([
      ['Subject', 'a b'],
      ['Message-ID', '<1@a>'],
    ])
    expect(text).toBe('One\n\nTwo')
  })

  test('quoted-printable, in a charset of its own', () => {
    const head = ['Content-Type: text/plain; charset="windows-1252"', 'Content-Transfer-Encoding: Quoted-Printable']
    expect(message(...head, '', 'caf=E9 =80=20=', '5').text).toBe('café € 5')
  })

  test('with a part that never ends, and one that is nested for ever', () => {
    expect(message('Content-Type: multipart/mixed; boundary=b', '', '--b', '', 'One').text).toBe('One')
    const deep = Array.from({ length: 300 }, (_, n) => [`Content-Type: multipart/mixed; boundary=b${n}`, '', `--b${n}`])
    expect(message(...deep.flat(), '', 'One')).toMatchObject({ html: null })
  })

  test('a text that is attached is a file', () => {
    const { text, attachments } = message(
      'Content-Type: multipart/mixed; boundary=b',
      '',
      'no part of it',
      '--b',
      'Content-Disposition: attachment; filename=log.txt',
      '',
      'GET /',
      '--b',
      '',
      'See the log.',
      '--b--',
      'nor is this',
    )
    expect(text).toBe('See the log.')
    expect(attachments).toEqual([{ name: 'log.txt', type: 'text/plain', size: 5 }])
  })
})

const formOf = (parts: [name: string, value: string | number[], type?: string][]) =>
  Buffer.concat([
    ...parts.flatMap(([name, value, type]) => [
      Buffer.from(`--b\r\nContent-Disposition: form-data; name="${name}"\r\n`),
      Buffer.from(type === undefined ? '\r\n' : `Content-Type: ${type}\r\n\r\n`),
      Buffer.from(value as string),
      Buffer.from('\r\n'),
    ]),
    Buffer.from('--b--\r\n'),
  ])

const HEADERS = { 'content-type': 'multipart/form-data; boundary=b' }
const requestOf = (body: Buffer): SignedRequest => ({
  method: 'POST',
  url: 'https://a.example/',
  headers: HEADERS,
  body,
})

test('SendGrid’s fields are read each in its own charset', () => {
  const body = formOf([
    ['headers', 'Message-ID: <jp@a.example>'],
    // 請求書 in ISO-2022-JP, "café – 5 €" in windows-1252, "žluť" in a charset that its part declares
    ['subject', [0x1b, 0x24, 0x42, 0x40, 0x41, 0x35, 0x61, 0x3d, 0x71, 0x1b, 0x28, 0x42]],
    ['text', [0x63, 0x61, 0x66, 0xe9, 0x20, 0x96, 0x20, 0x35, 0x20, 0x80]],
    ['from', [0xbe, 0x6c, 0x75, 0xbb, ...Buffer.from(' <a@a.example>')], 'text/plain; charset=iso-8859-2'],
    ['envelope', '{"to":["support@acme.example"],"from":"a@a.example"}'],
    ['charsets', '{"subject":"iso-2022-jp","text":"windows-1252","from":"UTF-8"}'],
  ])
  const request = { id: '', sourceId: null, receivedAt: NOW, address: '', path: '/', ...requestOf(body) }
  const payload = parseBody(request, body)
  if (!isObject(payload)) throw new Error('no fields')
  expect(sendgrid.recognises(payload, HEADERS)).toBe(true)
  expect(sendgrid.read({ headers: HEADERS, payload })).toMatchObject({
    draft: { title: '請求書', description: 'café – 5 €', metadata: { requester_name: 'žluť' } },
  })
})

describe('Mailgun’s signature in a multipart form', () => {
  const secret = 'key-1'
  const fields = (token: string, sentAt = String(NOW / 1000)): [string, string][] => [
    ['timestamp', sentAt],
    ['token', token],
    [
      'signature',
      createHmac('sha256', secret)
        .update(sentAt + token)
        .digest('hex'),
    ],
  ]
  const verify = (parts: [string, string][]) => mailgun.schemes['signature']?.(requestOf(formOf(parts)), [secret], NOW)

  test('is found among the other fields', () => {
    expect(verify([['subject', 'a'], ...fields('t1'), ['body-plain', 'b']])).toBeNull()
  })

  test('is not taken from the text of a mail', () => {
    const decoy = 'x\r\nContent-Disposition: form-data; name="token"\r\n\r\nforged\r\n'
    expect(verify([['body-plain', decoy], ...fields('t1')])).toBeNull()
    expect(verify([['body-plain', formOf(fields('t1')).toString().replaceAll('--b', '--c')]])).toBe('missing')
  })

  test('counts only with all of its three fields, and for five minutes', () => {
    for (const index of [0, 1, 2]) expect(verify(fields('t1').toSpliced(index, 1))).not.toBeNull()
    expect(verify(fields('t1', String(NOW / 1000 - 299)))).toBeNull()
    expect(verify(fields('t1', String(NOW / 1000 - 301)))).toBe('stale')
  })
})
