import { at, type Fields, fieldsOf, list, skip, text } from '../core/fields.ts'
import { isObject } from '../core/json.ts'
import { MAIL_PRIORITIES, type Mailbox, mailEvent, mailId } from '../core/mail.ts'
import type { Attachment, Header } from '../core/mime.ts'
import { definePlatform, ignored } from '../core/native.ts'
import { sharedToken } from '../core/signature.ts'

const BODIES = ['FromFull', 'TextBody', 'HtmlBody', 'StrippedTextReply']

/** Mails from an inbound stream. Postmark signs nothing: what it has is a password in the webhook's URL. */
export default definePlatform({
  id: 'postmark',
  name: 'email',
  label: 'Postmark',
  kinds: ['created', 'commented', 'reopened', 'ignored'],
  userAgent: 'Postmark',
  recognises: (payload) =>
    'MessageID' in payload && ('RecordType' in payload || BODIES.some((name) => name in payload)),

  schemes: { token: sharedToken() },

  priorities: MAIL_PRIORITIES,

  // Postmark's own number of the mail. The mail's Message-ID, by which others refer to it, is among the headers.
  deliveryId: ({ payload }) => {
    const body = fieldsOf(payload)
    return text(body, 'MessageID') ?? mailId({ headers: headersOf(body) })
  },

  read: (body) => {
    // What Postmark tells of the mails that it sends for us: Delivery, Bounce, Open and so on.
    if (text(body, 'RecordType') !== null) return ignored('not_a_ticket')
    const from = mailboxes([at(body, 'FromFull')])
    const event = mailEvent({
      headers: headersOf(body),
      gatewayId: text(body, 'MessageID'),
      from: from ?? text(body, 'From'),
      to: mailboxes(list(body, 'ToFull')) ?? text(body, 'To'),
      cc: mailboxes(list(body, 'CcFull')) ?? text(body, 'Cc'),
      subject: text(body, 'Subject'),
      text: text(body, 'TextBody'),
      html: text(body, 'HtmlBody'),
      stripped: text(body, 'StrippedTextReply'),
      attachments: attachmentsOf(body),
      metadata: {
        recipient: text(body, 'OriginalRecipient'),
        mailbox_hash: text(body, 'MailboxHash'),
        tag: text(body, 'Tag'),
      },
    })
    skip(body, 'From', 'FromName', 'FromFull', 'To', 'ToFull', 'Cc', 'CcFull', 'ReplyTo', 'MessageID', 'Date')
    skip(body, 'TextBody', 'HtmlBody', 'StrippedTextReply', 'RawEmail', 'Headers', 'Attachments', 'MessageStream')
    return event
  },
})

const headersOf = (body: Fields): Header[] =>
  list(body, 'Headers').map((field) => [text(field, 'Name') ?? '', text(field, 'Value') ?? ''])

function mailboxes(people: readonly Fields[]): Mailbox[] | null {
  const found = people.flatMap((person) => {
    const address = text(person, 'Email')
    return address === null ? [] : [{ name: text(person, 'Name'), address }]
  })
  return found.length === 0 ? null : found
}

function attachmentsOf(body: Fields): Attachment[] {
  const files = body.value['Attachments']
  if (!Array.isArray(files)) return []
  return files.filter(isObject).map((file) => ({
    name: text(fieldsOf(file), 'Name'),
    type: text(fieldsOf(file), 'ContentType'),
    size: typeof file['ContentLength'] === 'number' ? file['ContentLength'] : null,
  }))
}
