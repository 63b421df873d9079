import { afterAll, beforeAll, expect, test } from 'vitest'

import { startPostgres, type TestPostgres } from '../postgres.ts'
import { discard, startTestServer, type TestServer } from '../server.ts'

const KEY = 'k'.repeat(40)

let postgres: TestPostgres
let worker: TestServer
beforeAll(async () => {
  postgres = await startPostgres()
  worker = await startTestServer({
    DATABASE_URL: await postgres.database(),
    TICKETFLOW_ROLE: 'worker',
    TICKETFLOW_ADMIN_KEY: KEY,
    TICKETFLOW_TRIAGE: 'paused',
  })
}, 120_000)
afterAll(async () => {
  await discard(worker)
  await postgres?.stop()
}, 60_000)

test.each([
  ['/livez', {}, 200],
  ['/readyz', {}, 200],
  ['/metrics', {}, 401],
  ['/metrics', { 'x-api-key': KEY }, 200],
  ['/api/tickets', { 'x-api-key': KEY }, 404],
  ['/api/jobs', { 'x-api-key': KEY }, 404],
  ['/api/integrations/webhook', { 'x-api-key': KEY }, 404],
  ['/docs', { 'x-api-key': KEY }, 404],
])('a worker answers %s (%j) with %s', async (url, headers, status) => {
  const answer = await fetch(worker.url + url, { headers })
  expect(answer.status).toBe(status)
})

test('a worker takes no delivery', async () => {
  const answer = await fetch(worker.webhook, {
    method: 'POST',
    headers: { 'x-api-key': KEY, 'content-type': 'application/json' },
    body: JSON.stringify({ title: 'a', description: 'b' }),
  })
  expect(answer.status).toBe(404)
})
