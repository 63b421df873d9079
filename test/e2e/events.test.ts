import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ask, bearer } from '../ask.ts'
import { discard, post, startTestServer, type TestServer } from '../server.ts'
import { openStream } from '../stream.ts'

/** On a loaded machine a test is to wait, not to be refused. */
const PATIENT = { TICKETFLOW_MAX_LOOP_DELAY_MS: '0' }
let server: TestServer
beforeAll(async () => {
  server = await startTestServer(PATIENT)
})
afterAll(() => discard(server))

const send = (title: string) => post(server.webhook, { title, description: 'x', id: title, platform: 'acme' })

describe('events', () => {
  test('a delivery and its ticket are told as they happen, as rows of their lists', async () => {
    const stream = await openStream(server.url)
    expect(stream.response.headers.get('content-type')).toContain('text/event-stream')
    await stream.heard(({ event }) => event === 'ready')
    const { json } = await send('first')
    const ticket = await stream.heard(({ event, data }) => event === 'ticket' && data.id === json.id)
    expect(ticket.data).toMatchObject({ title: 'first', status: 'new', platform: 'acme', external_id: 'first' })
    expect(ticket.data).not.toHaveProperty('description')
    const delivery = await stream.heard(({ event, data }) => event === 'delivery' && data.ticket_id === json.id)
    expect(delivery.data).toMatchObject({ outcome: 'created', status: 200, platform: 'flat', source: 'open' })
    await stream.close()
  })

  test('what a person changes is told, and a refused delivery too', async () => {
    const { json } = await send('changed')
    const stream = await openStream(server.url)
    await stream.heard(({ event }) => event === 'ready')
    await ask(`${server.url}/api/tickets/${json.id}`, { method: 'PATCH', body: { status: 'closed' } })
    await stream.heard(({ event, data }) => event === 'ticket' && data.id === json.id && data.status === 'closed')
    await post(server.webhook, { description: 'no title' })
    await stream.heard(({ event, data }) => event === 'delivery' && data.outcome === 'rejected')
    await stream.close()
  })

  test('each ticket of a batch is told', async () => {
    const stream = await openStream(server.url)
    await stream.heard(({ event }) => event === 'ready')
    const { json } = await post(
      `${server.webhook}/batch`,
      [1, 2, 3].map((n) => ({ title: `b${n}`, description: 'x' })),
    )
    for (const { ticket_id: id } of json.created_tickets) {
      await stream.heard(({ event, data }) => event === 'ticket' && data.id === id)
    }
    await stream.close()
  })

  test('who comes back with the last number hears what was missed, and nothing twice', async () => {
    const first = await openStream(server.url)
    await first.heard(({ event }) => event === 'ready')
    const before = (await send('before')).json.id
    await first.heard(({ event, data }) => event === 'delivery' && data.ticket_id === before)
    const lastId = first.lastId()
    await first.close()
    const missed = (await send('missed')).json.id
    const again = await openStream(server.url, { 'last-event-id': lastId })
    await again.heard(({ event, data }) => event === 'ticket' && data.id === missed)
    await again.heard(({ event, data }) => event === 'delivery' && data.ticket_id === missed)
    expect(again.events.some(({ event, data }) => event === 'ticket' && data.id === before)).toBe(false)
    expect(again.events.some(({ event }) => event === 'ready' || event === 'more')).toBe(false)
    await again.close()
  })

  test('a number of another process, or no number at all, is answered with `more`', async () => {
    for (const lastId of ['AAAAAAAA-7', 'nonsense', '-', '1'.repeat(100)]) {
      const stream = await openStream(server.url, { 'last-event-id': lastId })
      const told = await stream.heard(({ event }) => event === 'more')
      expect(told.data).toEqual({ deliveries: null, tickets: null })
      await stream.close()
    }
    const { status } = await ask(`${server.url}/api/events`, { headers: { 'last-event-id': 'x'.repeat(101) } })
    expect(status).toBe(400)
  })

  test('HEAD is answered at once, and listens to nothing', async () => {
    const { status, headers } = await fetch(`${server.url}/api/events`, { method: 'HEAD' })
    expect([status, headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
  })

  test('many at once are told as how many they were', async () => {
    const stream = await openStream(server.url)
    await stream.heard(({ event }) => event === 'ready')
    await Promise.all(
      [1, 2, 3].map((batch) =>
        post(
          `${server.webhook}/batch`,
          Array.from({ length: 200 }, (_, n) => ({ title: `m${batch}-${n}`, description: 'x' })),
        ),
      ),
    )
    const more = await stream.heard(({ event }) => event === 'more')
    expect(more.data.tickets).toBeGreaterThan(50)
    await stream.close()
  })

  test('more readers than there may be are refused, and a place that falls free is given again', async () => {
    const streams = await Promise.all(Array.from({ length: 50 }, () => openStream(server.url)))
    const refused = await ask(`${server.url}/api/events`)
    expect(refused.status).toBe(503)
    await streams[0]?.close()
    for (let tries = 0; ; tries += 1) {
      const stream = await openStream(server.url)
      const isTaken = stream.response.status === 200
      await stream.close()
      if (isTaken) break
      expect(tries).toBeLessThan(300)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    await Promise.all(streams.map((stream) => stream.close()))
  })
})

describe('events: who may listen', () => {
  test('a change of the sources is told; without a key nobody hears; a stop ends every stream', async () => {
    const closed = await startTestServer({ ...PATIENT, TICKETFLOW_ADMIN_KEY: 'k'.repeat(40) })
    try {
      expect((await ask(`${closed.url}/api/events`)).status).toBe(401)
      const stream = await openStream(closed.url, bearer('k'.repeat(40)))
      await stream.heard(({ event }) => event === 'ready')
      const body = { id: 'acme', name: 'Acme', platform: 'flat', auth: 'signature' }
      const made = await ask(`${closed.url}/api/sources`, { method: 'POST', body, headers: bearer('k'.repeat(40)) })
      expect(made.status).toBe(201)
      await stream.heard(({ event }) => event === 'source')
      const code = closed.stop()
      expect(await stream.ended()).toBe(true)
      expect(await code).toBe(0)
    } finally {
      await discard(closed)
    }
  })
})
