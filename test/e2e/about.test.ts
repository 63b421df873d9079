import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ask, bearer } from '../ask.ts'
import { discard, post, startTestServer, type TestServer } from '../server.ts'

const ADMIN = 'a'.repeat(40)
/** On a loaded machine a test is to wait, not to be refused. */
const PATIENT = { TICKETFLOW_MAX_LOOP_DELAY_MS: '0' }
let server: TestServer
beforeAll(async () => {
  server = await startTestServer({ ...PATIENT, TICKETFLOW_ADMIN_KEY: ADMIN, TICKETFLOW_RETENTION_DAYS: '12' })
  const tickets = ['one', 'two', 'three'].map((id) => ({
    title: id,
    description: 'x',
    id,
    platform: 'acme',
    category: '__proto__',
  }))
  for (const ticket of [...tickets, tickets[0], { description: 'no title' }])
    await post(server.webhook, ticket, bearer(ADMIN))
})
afterAll(() => discard(server))

const admin = (path: string, asked: { method?: string; body?: unknown; headers?: Record<string, string> } = {}) =>
  ask(`${server.url}/api${path}`, { ...asked, headers: { ...bearer(ADMIN), ...asked.headers } })

describe('what the console shows of the server', () => {
  test('which server it is', async () => {
    const { json } = await admin('/about')
    expect(json).toMatchObject({ engine: 'sqlite', public_url: null, is_open: false })
    expect(json.version).toMatch(/^\d+\.\d+\.\d+/)
    expect(Date.parse(json.started_at)).toBeLessThanOrEqual(Date.now())
    expect(json.uptime_s).toBeGreaterThanOrEqual(0)
    expect((await ask(`${server.url}/api/about`)).status).toBe(401)
  })

  test('what it is set to, and nothing secret', async () => {
    const { json } = await admin('/settings')
    expect(json.settings).toContainEqual({ name: 'TICKETFLOW_RETENTION_DAYS', value: 12 })
    expect(JSON.stringify(json)).not.toContain(ADMIN)
  })

  test('the audit log is verified, and says how far it is to whoever asks', async () => {
    const { status, json } = await admin('/audit/verify', { method: 'POST' })
    expect(status).toBe(200)
    expect(json).toMatchObject({ ok: true, deliveries: 5, fault: null })
    const lines = await fetch(`${server.url}/api/audit/verify`, {
      method: 'POST',
      headers: { ...bearer(ADMIN), accept: 'application/x-ndjson' },
    })
    const last = (await lines.text()).trim().split('\n').at(-1) ?? ''
    expect(JSON.parse(last)).toMatchObject({ result: { ok: true, deliveries: 5 } })
  })

  test('insights count what came, whatever it is called', async () => {
    const { status, json } = await admin('/insights?days=2&step=hour')
    expect(status).toBe(200)
    expect(json.complete).toBe(true)
    expect(json.totals).toMatchObject({ deliveries: 5, refused: 1, tickets: 3 })
    expect(json.totals.p95_ms).toBeGreaterThan(0)
    expect(json.categories).toEqual([{ name: '__proto__', now: 3, before: 0 }])
    expect(json.sources).toEqual([{ name: 'key:environment', now: 5, before: 0, refused: 1 }])
    expect(json.series).toHaveLength(48)
    const created = json.series.reduce(
      (sum: number, { outcomes }: { outcomes: { created: number } }) => sum + outcomes.created,
      0,
    )
    expect(created).toBe(3)
    expect(json.week).toEqual({ comparable: false, changes: [] })
    for (const wrong of ['days=0', 'days=91', 'days=x', 'step=minute', 'days=60&step=hour']) {
      expect((await admin(`/insights?${wrong}`)).status).toBe(400)
    }
    expect((await admin('/insights?days=90&step=day')).json.series).toHaveLength(90)
  })
})
