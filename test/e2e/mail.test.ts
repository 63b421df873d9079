import { afterAll, beforeAll, expect, test } from 'vitest'

import { discard, get, startTestServer, type TestServer } from '../server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => discard(server))

const post = async (headers: Record<string, string>, body: string) => {
  const response = await fetch(server.webhook, { method: 'POST', headers, body })
  return { status: response.status, json: JSON.parse(await response.text()) }
}

const postmark = (id: string, text: string, headers: Record<string, string> = {}) =>
  post(
    { 'content-type': 'application/json' },
    JSON.stringify({
      FromFull: { Email: 'ann@example.org', Name: 'Ann' },
      Subject: 'The lamp',
      TextBody: text,
      MessageID: `pm-${id}`,
      Headers: Object.entries({ 'Message-ID': `<${id}@example.org>`, ...headers }).map(([Name, Value]) => ({
        Name,
        Value,
      })),
    }),
  )

const mailgun = (id: string, text: string, references: string) =>
  post(
    { 'content-type': 'application/x-www-form-urlencoded' },
    new URLSearchParams({
      recipient: 'support@acme.example',
      from: 'Bob <bob@example.org>',
      subject: 'Re: The lamp',
      'body-plain': `${text}\n\nOn Friday, Ann wrote:\n> The lamp is broken.`,
      'message-headers': JSON.stringify([
        ['Message-Id', `<${id}@example.org>`],
        ['References', references],
      ]),
    }).toString(),
  )

test('an answer goes to the ticket of the mail that it answers, through whichever gateway it comes', async () => {
  const { json: ticket } = await postmark('lamp-1', 'The lamp is broken.')
  const answer = await mailgun('lamp-2', 'Mine too.', '<lamp-1@example.org>')
  expect(answer).toMatchObject({
    status: 200,
    json: { id: ticket.id, title: 'The lamp', description: 'The lamp is broken.' },
  })
  const { json } = await get(`${server.url}/api/tickets/${ticket.id}/timeline`)
  expect(json.timeline).toContainEqual(
    expect.objectContaining({
      kind: 'commented',
      comment: expect.objectContaining({ id: '<lamp-2@example.org>', body: 'Mine too.', author_id: 'bob@example.org' }),
    }),
  )
})

test('an answer to a mail that is not here is a ticket, and so are the mails that then refer to it', async () => {
  const { json: ticket } = await mailgun('chair-2', 'Any news?', '<chair-1@example.org>')
  expect(ticket).toMatchObject({ title: 'Re: The lamp', description: 'Any news?', user_email: 'bob@example.org' })
  const { json: next } = await postmark('chair-3', 'Hello?', { 'In-Reply-To': '<chair-2@example.org>' })
  expect(next.id).toBe(ticket.id)
})

test('the same mail twice is one ticket', async () => {
  const { json: first } = await postmark('desk-1', 'The desk wobbles.')
  const { json: again } = await mailgun('desk-1', 'The desk wobbles.', '')
  expect(again.id).toBe(first.id)
})
