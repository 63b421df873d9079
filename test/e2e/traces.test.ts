import { setTimeout as sleep } from 'node:timers/promises'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { ask, bearer } from '../ask.ts'
import { freePort } from '../cli.ts'
import { startCollector } from '../collector.ts'
import { discard, post, startTestServer, type TestServer } from '../server.ts'
import { exchange, httpRequest } from '../wire.ts'

const KEY = 'k'.repeat(40)
const WAIT = { timeout: 60_000, interval: 50 }
const PARENT = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' }

describe('with a collector', { timeout: 120_000 }, () => {
  let server: TestServer
  let collector: Awaited<ReturnType<typeof startCollector>>
  beforeAll(async () => {
    collector = await startCollector()
    server = await startTestServer({
      TICKETFLOW_ADMIN_KEY: KEY,
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_SERVICE_NAME: 'intake-test',
      OTEL_BSP_SCHEDULE_DELAY: '100',
    })
    await ask(`${server.url}/api/sources`, { method: 'POST', body: { id: 'shop', auth: 'key' }, headers: bearer(KEY) })
  })
  afterAll(async () => {
    await discard(server)
    collector?.server.closeAllConnections()
    collector?.server.close()
  })

  /** The spans of one trace, by name, once all of these are there: they come in several batches, in any order. */
  async function traceOf(traceId: string, names = ['request']) {
    const ofTrace = () => collector.spans.filter((span) => span.traceId === traceId)
    const byName = () => Object.fromEntries(ofTrace().map((span) => [span.kind === 2 ? 'request' : span.name, span]))
    await expect.poll(() => Object.keys(byName()), WAIT).toEqual(expect.arrayContaining(names))
    return byName()
  }

  test('a delivery is a span under its sender’s, with verify, map and commit under it', async () => {
    const { json } = await post(
      `${server.webhook}/shop?token=hunter2`,
      {
        title: 'Printer',
        description: 'on fire '.repeat(60_000),
        id: 'ext-1',
        customer_email: 'ada@example.com',
        platform: 'shop',
      },
      { ...bearer(KEY), traceparent: `00-${PARENT.traceId}-${PARENT.spanId}-01` },
    )
    const spans = await traceOf(PARENT.traceId, ['verify', 'map', 'commit', 'request'])
    expect(Object.keys(spans).toSorted()).toEqual(['commit', 'map', 'request', 'verify'])
    const { request, verify, map, commit } = spans
    expect(request).toMatchObject({
      name: 'POST /api/integrations/webhook/:source',
      parent: PARENT.spanId,
      service: 'intake-test',
    })
    expect(request?.attributes).toMatchObject({
      'http.request.method': 'POST',
      'http.route': '/api/integrations/webhook/:source',
      'http.response.status_code': 200,
      'url.path': '/api/integrations/webhook/shop',
      'ticketflow.source': 'shop',
      'ticketflow.platform': expect.any(String),
      'ticketflow.outcome': 'created',
      'ticketflow.ticket_id': json.id,
    })
    for (const part of [verify, map, commit]) expect(part?.parent).toBe(request?.spanId)
    // Nothing of the sender, of the body or of the query is in it.
    const sent = Buffer.concat(collector.raw).toString('latin1')
    for (const secret of ['ada@example.com', 'on fire', 'hunter2', KEY, '127.0.0.1']) expect(sent).not.toContain(secret)
  })

  test('a body that comes in pieces, on a connection with others before it, leaves no part out of its request', async () => {
    const ids = ['c', 'd', 'e'].map((letter) => letter.repeat(32))
    const { answers } = await exchange(server.url, async (socket) => {
      for (const [index, traceId] of ids.entries()) {
        const bytes = httpRequest({
          headers: {
            ...bearer(KEY),
            'content-type': 'application/json',
            connection: index === ids.length - 1 ? 'close' : 'keep-alive',
            traceparent: `00-${traceId}-${PARENT.spanId}-01`,
          },
          body: JSON.stringify({ title: 'Printer', description: `on fire ${index}` }),
        })
        // The head, the body in two pieces, and a moment before each: what reads them is the socket's own.
        const cuts = [0, bytes.indexOf('\r\n\r\n') + 4, bytes.length - 10, bytes.length]
        for (let piece = 1; piece < cuts.length; piece += 1) {
          socket.write(bytes.subarray(cuts[piece - 1], cuts[piece]))
          await sleep(100)
        }
      }
    })
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    for (const traceId of ids) {
      const { request, verify, map, commit } = await traceOf(traceId, ['verify', 'map', 'commit', 'request'])
      expect(request?.parent).toBe(PARENT.spanId)
      for (const part of [verify, map, commit]) expect(part?.parent).toBe(request?.spanId)
    }
  })

  test('a refusal is a trace of its own, and what a sender decided not to sample is not sent', async () => {
    const unsampled = 'a'.repeat(32)
    const headers = { traceparent: `00-${unsampled}-${PARENT.spanId}-00` }
    await post(server.webhook, { title: 'a', description: 'b' }, { ...bearer(KEY), ...headers })
    const refused = await post(server.webhook, { title: 'no key' }, { 'x-request-id': 'refused-1' })
    expect(refused.status).toBe(401)
    const found = () => collector.spans.find(({ attributes }) => attributes['ticketflow.request_id'] === 'refused-1')
    await expect.poll(found, WAIT).toBeDefined()
    const spans = await traceOf(found()?.traceId ?? '')
    expect(spans['request']).toMatchObject({ parent: '', name: 'POST /api/integrations/webhook' })
    expect(spans['request']?.attributes).toMatchObject({
      'http.response.status_code': 401,
      'ticketflow.outcome': 'rejected',
    })
    expect(collector.spans.filter(({ traceId }) => traceId === unsampled)).toEqual([])
  })

  test('the last spans are sent before the server ends', async () => {
    const traceId = 'b'.repeat(32)
    const headers = { ...bearer(KEY), traceparent: `00-${traceId}-${PARENT.spanId}-01` }
    await post(server.webhook, { title: 'a', description: 'b' }, headers)
    expect(await server.stop()).toBe(0)
    expect((await traceOf(traceId))['request']).toBeDefined()
  })
})

test('a collector that is gone slows nobody down, and is told of once', { timeout: 120_000 }, async () => {
  const server = await startTestServer({
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await freePort()}`,
    OTEL_EXPORTER_OTLP_TIMEOUT: '300',
    OTEL_BSP_SCHEDULE_DELAY: '50',
    OTEL_BSP_MAX_QUEUE_SIZE: '16',
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '8',
  })
  try {
    for (let round = 0; round < 60; round += 1) {
      const { status } = await post(server.webhook, { title: 'a', description: `b${round}` })
      expect(status).toBe(200)
      if (server.output().includes('traces:') && round > 20) break
      await sleep(20)
    }
    await expect.poll(() => server.output().match(/"msg":"traces: /g) ?? [], WAIT).toHaveLength(1)
    expect(await server.stop()).toBe(0)
    // Nothing but lines of our own log: no library wrote past it.
    for (const line of server.output().trim().split('\n')) expect(line).toMatch(/^\{"level":/)
  } finally {
    await discard(server)
  }
})

test('a ticket’s job goes on in the trace of the request that made it', { timeout: 240_000 }, async () => {
  const collector = await startCollector()
  const server = await startTestServer({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_BSP_SCHEDULE_DELAY: '100',
    TICKETFLOW_TRIAGE: 'on',
    TICKETFLOW_EMBEDDER: 'none',
  })
  try {
    const traceparent = `00-${PARENT.traceId}-${PARENT.spanId}-01`
    await post(server.webhook, { title: 'Printer', description: 'on fire' }, { traceparent })
    const named = (name: string) =>
      collector.spans.find((span) => span.traceId === PARENT.traceId && span.name === name)
    await expect
      .poll(() => named('triage') !== undefined && named('POST /api/integrations/webhook') !== undefined, {
        ...WAIT,
        timeout: 120_000,
      })
      .toBe(true)
    expect(named('triage')?.parent).toBe(named('POST /api/integrations/webhook')?.spanId)
  } finally {
    await discard(server)
    collector.server.closeAllConnections()
    collector.server.close()
  }
})
