import { fieldsOf, type Fields, skip, text } from '../core/fields.ts'
import { isObject, jsonOrNull } from '../core/json.ts'
import { filesIn, jsonIn, MAIL_PRIORITIES, mailEvent, mailId } from '../core/mail.ts'
import { type Header, readMessage } from '../core/mime.ts'
import { definePlatform, ignored } from '../core/native.ts'
import { type Headers, headerText, hmac, sharedToken, type SignedRequest } from '../core/signature.ts'

const BODIES = ['body-plain', 'stripped-text', 'body-html', 'body-mime', 'message-url']

/** Mails that a route forwards or stores, as a form (multipart with attachments) or as JSON. */
export default definePlatform({
  id: 'mailgun',
  name: 'email',
  label: 'Mailgun',
  kinds: ['created', 'commented', 'reopened', 'ignored'],
  userAgent: 'mailgun/',
  recognises: (payload) =>
    (('recipient' in payload || 'recipients' in payload) && BODIES.some((name) => name in payload)) ||
    (isObject(payload['event-data']) && isObject(payload['signature'])),

  schemes: {
    // Mailgun signs timestamp + token, which stand in the body; the mail itself is not signed.
    signature: (request, secrets, now) => signed({ ...request, headers: signatureIn(request) }, secrets, now),
    token: sharedToken(),
  },

  nonce: (request) => headerText(signatureIn(request), 'token'),
  priorities: MAIL_PRIORITIES,

  deliveryId: ({ payload }) => mailId({ headers: headersOf(fieldsOf(payload)) }),

  read: (body) => {
    // What Mailgun tells of the mails that it sends for us.
    if ('event-data' in body.value) return ignored('not_a_ticket')
    const mime = text(body, 'body-mime')
    const message = mime === null ? null : readMessage(mime)
    const attachments = filesIn(body, 'attachments', 'attached_files')
    const headers = message?.headers ?? headersOf(body)
    const event = mailEvent({
      headers,
      from: text(body, 'from'),
      to: text(body, 'To', 'to'),
      cc: text(body, 'Cc', 'cc'),
      subject: text(body, 'subject'),
      text: message?.text ?? text(body, 'body-plain'),
      html: message?.html ?? htmlOf(body),
      stripped: text(body, 'stripped-text'),
      returnPath: body.value['sender'],
      attachments: message?.attachments ?? attachments,
      metadata: { recipient: text(body, 'recipient', 'recipients'), message_url: text(body, 'message-url') },
    })
    skip(body, 'timestamp', 'token', 'signature', 'body-calendar', 'body-mime', 'body-plain', 'body-html')
    skip(body, 'stripped-text', 'stripped-html', 'stripped-signature', 'message-headers', 'sender', 'content-id-map')
    skip(body, 'attachments', 'attached_files', 'attachment-count')
    // Each header of the mail comes as a field of its own too; Mailgun's own fields are in lower case.
    skip(body, ...Object.keys(body.value).filter((key) => /^[A-Z]/.test(key)))
    return event
  },
})

/** The headers in the list of them all, or else in the fields that repeat them. */
function headersOf(body: Fields): Header[] {
  const listed = jsonIn(body, 'message-headers')
  const pairs: unknown[] = Array.isArray(listed) ? listed : Object.entries(body.value)
  return pairs.flatMap((pair): Header[] => {
    const [name, value] = Array.isArray(pair) ? pair : []
    return typeof name === 'string' && typeof value === 'string' ? [[name, value]] : []
  })
}

/** Several HTML parts come as several fields of one name. */
function htmlOf(body: Fields): string | null {
  const parts = body.value['body-html']
  return Array.isArray(parts)
    ? parts.filter((part) => typeof part === 'string').join('\n') || null
    : text(body, 'body-html', 'stripped-html')
}

const SIGNED = ['timestamp', 'token', 'signature'] as const

const signed = hmac({
  algorithm: 'sha256',
  encoding: 'hex',
  header: 'signature',
  signed: ({ headers }) => {
    const [sentAt, token] = [headerText(headers, 'timestamp'), headerText(headers, 'token')]
    return sentAt === null || token === null ? null : [sentAt, token]
  },
  time: { of: ({ headers }) => headerText(headers, 'timestamp'), toleranceSeconds: 300 },
})

/** The three fields that prove whose the form is, wherever in the bytes they stand. */
function signatureIn({ headers, body }: SignedRequest): Headers {
  const type = headerText(headers, 'content-type') ?? ''
  const boundary = /^multipart\/form-data.{0,200}?boundary="?([^";\s]{1,200})/i.exec(type)?.[1]
  if (boundary !== undefined) return signatureInParts(body, boundary)
  if (body[0] === 0x7b) return signatureInJson(body)
  const form = `&${body.toString('latin1')}&`
  return Object.fromEntries(
    SIGNED.map((name) => {
      const at = form.indexOf(`&${name}=`)
      const start = at + name.length + 2
      return [name, at < 0 ? undefined : form.slice(start, form.indexOf('&', start))]
    }),
  )
}

function signatureInParts(body: Buffer, boundary: string): Headers {
  const found: Record<string, string> = {}
  const delimiter = `--${boundary}`
  let start = body.indexOf(delimiter)
  while (start >= 0) {
    const end = body.indexOf(`\r\n${delimiter}`, start + delimiter.length)
    const part = body.subarray(start + delimiter.length, end < 0 ? body.length : end)
    // These parts are small: a head of one line or three, and a value of some fifty characters.
    const [head = '', value] = part.length > 500 ? [] : part.toString('latin1').split('\r\n\r\n')
    const name = /[;\s]name="?(timestamp|token|signature)"?(?:[;\s]|$)/i.exec(head)?.[1]
    if (name !== undefined && value !== undefined) found[name] ??= value
    start = end < 0 ? -1 : end + 2
  }
  return found
}

/** `{signature: {timestamp, token, signature}}` in the webhooks about events; flat where a stored mail is JSON. */
function signatureInJson(body: Buffer): Headers {
  const payload = fieldsOf(jsonOrNull(body.toString('utf8')))
  const fields = isObject(payload.value['signature']) ? fieldsOf(payload.value['signature']) : payload
  return Object.fromEntries(SIGNED.map((name) => [name, text(fields, name) ?? undefined]))
}
