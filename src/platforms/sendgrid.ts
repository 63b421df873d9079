import { fieldsOf, type Fields, skip, text } from '../core/fields.ts'
import { isObject } from '../core/json.ts'
import { filesIn, jsonIn, MAIL_PRIORITIES, mailEvent, mailId } from '../core/mail.ts'
import { type Attachment, type Header, headersIn, readMessage } from '../core/mime.ts'
import { definePlatform, ignored } from '../core/native.ts'
import { ecdsa, sharedToken, timed } from '../core/signature.ts'

const SIGNATURE = 'x-twilio-email-event-webhook-signature'
const SENT_AT = 'x-twilio-email-event-webhook-timestamp'

/** Mails from Inbound Parse: taken apart, or whole ("POST the raw, full MIME message"). */
export default definePlatform({
  id: 'sendgrid',
  name: 'email',
  label: 'SendGrid',
  kinds: ['created', 'commented', 'reopened', 'ignored'],
  headers: [SIGNATURE, SENT_AT],
  userAgent: 'SendGrid',
  recognises: (payload) =>
    ('envelope' in payload && ('charsets' in payload || 'sender_ip' in payload)) || 'sg_event_id' in payload,

  schemes: {
    // A security policy signs timestamp + body; the secret is its public key, DER in base64.
    signature: ecdsa({
      header: SIGNATURE,
      ...timed(SENT_AT, (sentAt, { body }) => [sentAt, body]),
    }),
    token: sharedToken(),
  },

  priorities: MAIL_PRIORITIES,

  deliveryId: ({ payload }) => mailId({ headers: headersOf(fieldsOf(payload)) }),

  events: (body) => (Array.isArray(body) ? body : null),

  read: (body) => {
    // What SendGrid tells of the mails that it sends for us.
    if ('sg_event_id' in body.value) return ignored('not_a_ticket')
    const raw = text(body, 'email')
    const message = raw === null ? null : readMessage(raw)
    const envelope = jsonIn(body, 'envelope')
    const event = mailEvent({
      headers: message?.headers ?? headersOf(body),
      from: text(body, 'from'),
      to: text(body, 'to'),
      cc: text(body, 'cc'),
      subject: text(body, 'subject'),
      text: message?.text ?? text(body, 'text'),
      html: message?.html ?? text(body, 'html'),
      returnPath: isObject(envelope) ? envelope['from'] : null,
      attachments: message?.attachments ?? attachmentsOf(body),
      spamScore: text(body, 'spam_score'),
      metadata: {
        recipient:
          isObject(envelope) && Array.isArray(envelope['to'])
            ? envelope['to'].filter((to) => typeof to === 'string').join(', ')
            : null,
        spf: text(body, 'SPF'),
        dkim: text(body, 'dkim'),
      },
    })
    skip(body, 'headers', 'email', 'text', 'html', 'envelope', 'charsets', 'spam_report')
    skip(body, 'attachments', 'attached_files', 'attachment-info', 'content-ids')
    return event
  },
})

function headersOf(body: Fields): readonly Header[] {
  const { email, headers } = body.value
  // Where the mail comes whole, its head ends with the first empty line.
  if (typeof email === 'string')
    return headersIn(
      email
        .trimStart()
        .split(/\r?\n\r?\n/, 1)
        .join(),
    )
  return typeof headers === 'string' ? headersIn(headers) : []
}

/** The files that came along, or what SendGrid says of those that did not. */
function attachmentsOf(body: Fields): Attachment[] {
  const files = filesIn(body, 'attached_files', 'attachments')
  const said = jsonIn(body, 'attachment-info')
  if (files.length > 0 || !isObject(said)) return files
  return Object.values(said).map((info) => {
    const fields = fieldsOf(info)
    return { name: text(fields, 'filename', 'name'), type: text(fields, 'type'), size: null }
  })
}
