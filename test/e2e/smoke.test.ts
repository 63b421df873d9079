import { afterAll, beforeAll, expect, test } from 'vitest'
import { discard, post, startTestServer, type TestServer } from '../server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => discard(server))

test('a ticket comes back', async () => {
  const { status, json } = await post(server.webhook, { title: 'a', description: 'b' })
  expect(status).toBe(200)
  expect(json.title).toBe('a')
})
