import { rm } from 'node:fs/promises'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { createApp } from '../../src/http/app.ts'
import type { App } from '../../src/http/fastify.ts'
import { createMetrics } from '../../src/http/metrics.ts'
import { createGate, type Gate } from '../../src/intake/keys.ts'
import { createLimits } from '../../src/intake/limits.ts'
import { watchOverload } from '../../src/intake/overload.ts'
import { openSqliteStore, type SqliteStore } from '../../src/store/sqlite.ts'
import { temporaryDirectory } from '../server.ts'

const KEY = 'k'.repeat(40)
const nothing = () => {}

let directory: string
let store: SqliteStore
let app: App
let gate: Gate
let overload: Awaited<ReturnType<typeof watchOverload>>
beforeAll(async () => {
  directory = await temporaryDirectory()
  store = await openSqliteStore({ directory, maxQueued: 100, maxQueuedBytes: 1_000_000, onDeath: nothing })
  const limits = createLimits({ perAddress: null, perKey: null })
  const jobs = store.createJobs({ mayRun: () => true, onRun: nothing, onFailure: nothing, onFault: nothing })
  const bounds = { maxLoopDelayMs: 0, minFreeBytes: 0, maxMemoryBytes: 0 }
  const heard = { isCrowded: store.isCrowded, onShed: nothing, onBegin: nothing, onEnd: nothing }
  overload = await watchOverload({ ...bounds, directory, ...heard })
  gate = await createGate({
    store: store.keyStore,
    isLoopback: true,
    hasSources: () => false,
    adminKey: KEY,
    limits,
    onError: (error) => expect.unreachable(String(error)),
  })
  app = await createApp({
    store,
    jobs,
    limits,
    overload,
    role: 'worker',
    gate,
    metrics: createMetrics(store, () => false, jobs),
    // What a worker has no route for.
    intake: undefined as never,
    registry: undefined as never,
    timeMachine: undefined as never,
    trustedProxies: [],
    publicUrl: null,
    platforms: [],
    receiptKeys: [],
    log: pino({ level: 'silent' }),
    bodyLimit: 1_048_576,
    requestTimeoutMs: 30_000,
    connections: { total: 100, perAddress: 100 },
    tls: null,
  })
}, 120_000)
afterAll(async () => {
  await app.close()
  overload.close()
  await gate.close()
  await store.close()
  await rm(directory, { recursive: true, force: true })
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
  const { statusCode } = await app.inject({ method: 'GET', url, headers: { host: 'localhost', ...headers } })
  expect(statusCode).toBe(status)
})

test('a worker takes no delivery', async () => {
  const request = { method: 'POST' as const, url: '/api/integrations/webhook', headers: { 'x-api-key': KEY } }
  const answer = await app.inject({ ...request, payload: { title: 'a', description: 'b' } })
  expect([answer.statusCode, (await store.figures()).newestTicket]).toEqual([404, 0])
})
