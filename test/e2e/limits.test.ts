import { afterEach, expect, test } from 'vitest'

import { ticketflow } from '../cli.ts'
import { discard, startTestServer, temporaryDirectory, type TestServer } from '../server.ts'

let server: TestServer | undefined
afterEach(async () => {
  await discard(server)
  server = undefined
})

const BODY = JSON.stringify({ title: 'a', description: 'b' })

async function send(url: string, headers: Record<string, string> = {}) {
  const response = await fetch(url, {
    method: 'POST',
    body: BODY,
    headers: { 'content-type': 'application/json', ...headers },
  })
  return { status: response.status, headers: response.headers, json: JSON.parse(await response.text()) }
}

async function statuses(count: number, one: () => Promise<{ status: number }>): Promise<number[]> {
  const all: number[] = []
  for (let index = 0; index < count; index += 1) all.push((await one()).status)
  return all
}

const rows = async (url: string, headers: Record<string, string> = {}) => {
  const response = await fetch(`${url}/api/deliveries?limit=200`, { headers })
  return JSON.parse(await response.text()).deliveries.length
}

test('an address over its rate gets 429 and is told when to come again; nothing of it is written', async () => {
  server = await startTestServer({ TICKETFLOW_ADDRESS_RATE: '5' })
  const { webhook, url } = server
  expect(await statuses(5, () => send(webhook))).toEqual([200, 200, 200, 200, 200])
  const refused = await send(webhook)
  expect(refused.status).toBe(429)
  expect(refused.headers.get('retry-after')).toBe('12')
  expect(refused.headers.get('ratelimit-policy')).toBe('"address";q=5;w=60')
  expect(refused.headers.get('ratelimit')).toBe('"address";r=0;t=12')
  expect(refused.json.detail).toMatch(/^Too many requests: 5 in 60 seconds/)
  for (const path of ['/livez', '/api/integrations/webhook/health']) expect((await fetch(url + path)).status).toBe(200)
  await server.stop()
  server = await startTestServer({ TICKETFLOW_DATA_DIR: server.dataDir })
  expect(await rows(server.url)).toBe(5)
})

test('who comes too often waits for the answer, meanwhile others are served, and it is counted', async () => {
  server = await startTestServer({ TICKETFLOW_ADDRESS_RATE: '1' })
  const { webhook, url } = server
  await send(webhook)
  const began = performance.now()
  const late = Array.from({ length: 20 }, () => send(webhook).then(() => performance.now() - began))
  const first = await Promise.race([...late, fetch(`${url}/livez`).then(({ status }) => status)])
  expect(first).toBe(200)
  expect(Math.min(...(await Promise.all(late)))).toBeGreaterThan(250)
  await server.stop()
  expect(server.output().match(/"outcome":"limited"/g)).toHaveLength(20)
})

test('X-Forwarded-For counts from a trusted proxy, and from nobody else', async () => {
  const from = (address: string) => ({ 'x-forwarded-for': address })
  server = await startTestServer({ TICKETFLOW_ADDRESS_RATE: '1' })
  expect([
    (await send(server.webhook, from('1.1.1.1'))).status,
    (await send(server.webhook, from('2.2.2.2'))).status,
  ]).toEqual([200, 429])
  await server.stop('SIGKILL')
  server = await startTestServer({ TICKETFLOW_ADDRESS_RATE: '1', TICKETFLOW_TRUSTED_PROXIES: '10.0.0.0/8, 127.0.0.1' })
  const { webhook } = server
  const answers = [
    await send(webhook, from('1.1.1.1')),
    await send(webhook, from('2.2.2.2')),
    await send(webhook, from('6.6.6.6, 1.1.1.1')),
  ]
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 429])
})

test('a key has a rate of its own; wrong keys make their address wait, and a good key from there still opens', async () => {
  const dataDir = await temporaryDirectory()
  const env = { TICKETFLOW_DATA_DIR: dataDir }
  const key = async (...args: string[]) =>
    JSON.parse((await ticketflow(['keys', 'create', 'x', '--json', ...args], env)).stdout).secret
  const [slow, free] = [await key('--rate', '2'), await key('--scope', 'admin')]
  server = await startTestServer(env)
  const { webhook } = server
  const as = (secret: string) => send(webhook, { authorization: `Bearer ${secret}` })
  expect(await statuses(3, () => as(slow))).toEqual([200, 200, 429])
  expect((await as(slow)).headers.get('ratelimit-policy')).toBe('"key";q=2;w=60')
  const timed = async () => {
    const began = performance.now()
    const { status } = await as('wrong')
    return { status, waited: performance.now() - began > 250 }
  }
  await Promise.all(Array.from({ length: 60 }, timed))
  expect(await timed()).toEqual({ status: 401, waited: true })
  const wrong = (await Promise.all(Array.from({ length: 500 }, () => as('wrong')))).map(({ status }) => status)
  expect(new Set(wrong)).toEqual(new Set([401, 429]))
  expect(wrong.filter((status) => status === 401).length).toBeGreaterThanOrEqual(300 - 61)
  expect((await as(free)).status).toBe(200)
  expect(await rows(server.url, { authorization: `Bearer ${free}` })).toBe(200)
})
