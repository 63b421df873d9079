import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { ask } from '../ask.ts'
import { send } from '../console.ts'
import { discard, startTestServer, type TestServer } from '../server.ts'
import { openStream } from '../stream.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer({ TICKETFLOW_MAX_LOOP_DELAY_MS: '0' })
  for (let count = 0; count < 3; count += 1) await make()
})
afterAll(() => discard(server))

const api = (path: string, body?: unknown, method = body === undefined ? 'GET' : 'POST') =>
  ask(`${server.url}/api/tickets${path}`, { method, ...(body === undefined ? {} : { body }) })
const make = (over: Record<string, unknown> = {}) => send(server, { title: 'Printer on fire', ...over })
const timeline = async (id: number) => (await api(`/${id}/timeline`)).json.timeline
const idsOf = ({ json }: { json: { tickets: { id: number }[] } }) => json.tickets.map(({ id }) => id)

describe('a ticket that is merged into another', () => {
  test('is closed and names it, in full and in lists; the other names it; un-merged, both are as before', async () => {
    const [one, two] = [await make(), await make()]
    const before = (await api(`/${one}`)).json
    const merged = await api(`/${one}/merge`, { into: two })
    expect(merged.status).toBe(200)
    expect(merged.json).toMatchObject({ id: one, status: 'closed', merged_into: two })
    expect((await api(`/${one}`)).json).toEqual(merged.json)
    expect((await api(`/${two}`)).json).toMatchObject({ status: 'new', merged: [one] })
    expect((await api(`/${two}`, { priority: 'high' }, 'PATCH')).json).toMatchObject({ merged: [one] })
    expect((await api('?limit=2')).json.tickets).toMatchObject([{ id: two }, { id: one, merged_into: two }])
    expect(idsOf(await api('?merged=true'))).toContain(one)
    expect(idsOf(await api('?merged=false'))).not.toContain(one)
    expect((await api(`/${one}/merge`, { into: two })).json).toEqual(merged.json)
    expect(await timeline(two)).toHaveLength(3)

    const apart = await api(`/${one}/unmerge`, undefined, 'POST')
    expect(apart.json).toEqual({ ...before, updated_at: apart.json.updated_at })
    expect((await api(`/${two}`)).json).not.toHaveProperty('merged')
    expect((await api(`/${one}/unmerge`, undefined, 'POST')).json).toEqual(apart.json)
    expect((await timeline(one)).map(({ kind }: { kind: string }) => kind)).toEqual(['created', 'merged', 'unmerged'])
    expect((await timeline(two)).at(-1)).toMatchObject({
      kind: 'unmerged',
      changes: { merged: { from: one, to: null } },
    })
  })

  const [one, two, three] = [1, 2, 3]
  for (const { name, path, body, status, detail } of [
    { name: 'into itself', path: one, body: { into: one }, status: 409, detail: 'cannot be merged into itself' },
    { name: 'into one that is not there', path: one, body: { into: 1e9 }, status: 409, detail: 'no ticket 1000000000' },
    { name: 'that is not there', path: 1e9, body: { into: one }, status: 404, detail: 'No ticket 1000000000' },
    { name: 'into one that is merged', path: three, body: { into: one }, status: 409, detail: `merge 3 into 2` },
    {
      name: 'into one that is merged into it',
      path: two,
      body: { into: one },
      status: 409,
      detail: 'un-merge it first',
    },
    { name: 'when it is merged', path: one, body: { into: three }, status: 409, detail: 'into 2 already' },
    { name: 'that others are merged into', path: two, body: { into: three }, status: 409, detail: 'merge 3 into 2' },
    { name: 'into nothing', path: three, body: {}, status: 400, detail: 'into' },
    { name: 'into a word', path: three, body: { into: '2' }, status: 400, detail: 'into' },
    { name: 'with more besides', path: three, body: { into: 2, force: true }, status: 400, detail: 'force' },
  ]) {
    test(`is refused ${name}, and says what to do`, async () => {
      await api(`/${one}/merge`, { into: two })
      const answer = await api(`/${path}/merge`, body)
      expect([answer.status, answer.json.detail]).toEqual([status, expect.stringContaining(detail)])
      expect((await api(`/${two}`)).json.merged).toEqual([one])
    })
  }

  test('is not made so by a change, nor by who sends it', async () => {
    const id = await make({ merged_into: 1, merged: [1], id: 'm1' })
    expect((await api(`/${id}`)).json).not.toHaveProperty('merged_into')
    const change = await api(`/${id}`, { merged_into: two }, 'PATCH')
    expect([change.status, change.json.detail]).toEqual([400, expect.stringContaining('merged_into')])
  })

  test('stays closed whatever its sender says; the answer to that is as specified, and the other hears of it', async () => {
    const [id, into] = [await make({ id: 'm2', platform: 'shop' }), await make()]
    await api(`/${id}/merge`, { into })
    expect((await api(`/${id}`, { status: 'open' }, 'PATCH')).json.detail).toContain(`merged into ${into}`)
    const answer = await ask(server.webhook, {
      method: 'POST',
      body: { id: 'm2', platform: 'shop', title: 'Printer still on fire', description: 'Hotter.' },
    })
    expect(answer.json).toMatchObject({ id, title: 'Printer still on fire', status: 'closed' })
    expect(Object.keys(answer.json)).toEqual(
      Object.keys((await api(`/${into}`)).json).filter((key) => key !== 'merged'),
    )
    expect((await timeline(into)).at(-1)).toMatchObject({
      kind: 'relayed',
      delivery_id: null,
      changes: { relayed: { to: { ticket: id, kind: 'updated' } } },
    })
  })

  test('of two that cross, a hundred times, exactly one merge comes about', async () => {
    for (let round = 0; round < 100; round += 1) {
      const [a, b] = [await make(), await make()]
      const answers = await Promise.all([api(`/${a}/merge`, { into: b }), api(`/${b}/merge`, { into: a })])
      expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409])
      const [first, second] = [(await api(`/${a}`)).json, (await api(`/${b}`)).json]
      expect([first.merged_into, second.merged_into].filter((into) => into !== undefined)).toHaveLength(1)
    }
  })

  test('is told of with the other, and so is what comes for it', async () => {
    const [id, into] = [await make({ id: 'm3', platform: 'shop' }), await make()]
    const stream = await openStream(server.url)
    await stream.heard(({ event }) => event === 'ready')
    const isTold = (number: number, mergedInto: number | null) =>
      stream.heard(({ event, data }) => event === 'ticket' && data.id === number && data.merged_into === mergedInto)
    await api(`/${id}/merge`, { into })
    await Promise.all([isTold(id, into), isTold(into, null)])
    const timesTold = () => stream.events.filter(({ event, data }) => event === 'ticket' && data.id === into).length
    const before = timesTold()
    await make({ id: 'm3', platform: 'shop', title: 'More smoke' })
    await expect.poll(timesTold, { timeout: 30_000 }).toBeGreaterThan(before)
    await api(`/${id}/unmerge`, undefined, 'POST')
    await isTold(id, null)
    await stream.close()
  })
})

test('triage shows the ticket that stands for a merged one, once, and no merged one beside it', async () => {
  const triaging = await startTestServer({ TICKETFLOW_TRIAGE: 'on', TICKETFLOW_EMBEDDER: 'none' })
  try {
    const text = { title: 'Export of orders hangs', description: 'Since Monday the export of orders never ends.' }
    const ticket = async (id: number, more = '') => (await ask(`${triaging.url}/api/tickets/${id}${more}`)).json
    const triaged = async () => {
      const id = await send(triaging, text)
      await expect.poll(async () => (await ticket(id)).triage !== undefined, { timeout: 60_000 }).toBe(true)
      return id
    }
    const [first, second, third] = [await triaged(), await triaged(), await triaged()]
    const shown = async (id: number) => {
      const { triage } = await ticket(id)
      return [triage.similar.map((one: { id: number }) => one.id), triage.duplicates_of?.id ?? null]
    }
    expect(await shown(third)).toEqual([[second, first], second])
    const merge = (id: number, into: number) =>
      ask(`${triaging.url}/api/tickets/${id}/merge`, { method: 'POST', body: { into } })
    await merge(second, first)
    expect((await ticket(third)).triage.duplicates_of).toMatchObject({ id: first, title: text.title, status: 'new' })
    expect(await shown(third)).toEqual([[first], first])
    expect(await shown(second)).toEqual([[first], first])
    const similar = async (id: number) => (await ticket(id, '/similar')).similar.map((one: { id: number }) => one.id)
    expect([await similar(first), await similar(third)]).toEqual([[third], [first]])
    await merge(third, first)
    expect(await shown(third)).toEqual([[first], first])
    expect(await similar(first)).toEqual([])
  } finally {
    await discard(triaging)
  }
}, 300_000)
