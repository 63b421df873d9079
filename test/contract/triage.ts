import { setTimeout as delay } from 'node:timers/promises'

import { afterEach, describe, expect, test } from 'vitest'

import type { Decision, NewDecision, Suggestion } from '../../src/core/decision.ts'
import type { Store } from '../../src/store/store.ts'
import { type OpenSubject, ticketOf } from './store.ts'

const suggestion = (over: Partial<Suggestion> = {}): Suggestion => ({
  value: 'billing',
  confidence: 0.97,
  source: 'model',
  is_sure: true,
  set: false,
  others: [],
  ...over,
})

/** A decision as the engine makes one. */
export const decision = (over: Partial<Decision> = {}): Decision => ({
  category: suggestion(),
  priority: null,
  language: 'en',
  summary: null,
  sentiment: null,
  similar: [],
  duplicates_of: null,
  draft_reply: null,
  model: 'test',
  advisor: null,
  notes: [],
  took_ms: 3,
  decided_at: '2026-11-30T08:00:00.000Z',
  ...over,
})

const about = (ticketId: number, over: Partial<NewDecision> = {}): NewDecision => ({
  ticketId,
  cause: 'created',
  at: Date.now(),
  decision: decision(),
  seen: '{}',
  set: {},
  ...over,
})

/** What every engine owes triage. */
export function triageContract(open: OpenSubject): void {
  let subject: Awaited<ReturnType<OpenSubject>>
  const start = async () => {
    subject = await open()
    return subject.store
  }
  afterEach(() => subject.dispose())

  const make = async (store: Store, over: Parameters<typeof ticketOf>[0] = {}): Promise<number> =>
    (await store.submit(ticketOf(over))).ticketId ?? 0
  const shown = async (store: Store, id: number): Promise<Decision> =>
    JSON.parse((await store.triage.triageOf(id)) ?? 'null')

  describe('a decision', () => {
    test('is shown once it is kept, also after the store was opened again', async () => {
      const store = await start()
      const id = await make(store)
      expect(await store.triage.triageOf(id)).toBeNull()
      expect(await store.triage.decide(about(id))).toBe('decided')
      expect(await shown(store, id)).toEqual(decision())
      expect(await shown(await subject.reopen(), id)).toEqual(decision())
    })

    test('is made once for each cause, and the newest is shown', async () => {
      const store = await start()
      const id = await make(store)
      await store.triage.decide(about(id))
      const again = about(id, { decision: decision({ summary: 'again' }) })
      expect(await store.triage.decide(again)).toBe('repeated')
      expect((await shown(store, id)).summary).toBeNull()
      expect(await store.triage.decide({ ...again, cause: 'changed' })).toBe('decided')
      expect((await shown(store, id)).summary).toBe('again')
    })

    test('of two that come at once for one cause, one is kept', async () => {
      const store = await start()
      const id = await make(store)
      const both = await Promise.all([store.triage.decide(about(id)), store.triage.decide(about(id))])
      expect(both.toSorted()).toEqual(['decided', 'repeated'])
    })

    test('that cannot be kept takes no other with it that comes at the same moment', async () => {
      const store = await start()
      const [first, second, third] = [await make(store), await make(store), await make(store)]
      const cyclic = decision()
      Object.assign(cyclic, { notes: [cyclic] }) // cannot be JSON
      const decided = await Promise.allSettled([
        store.triage.decide(about(first)),
        store.triage.decide(about(second, { decision: cyclic })),
        store.triage.decide(about(third)),
      ])
      expect(decided.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
      expect(await shown(store, third)).toEqual(decision())
      expect(await store.triage.triageOf(second)).toBeNull()
    })

    test('about a ticket that is not there is kept nowhere', async () => {
      const store = await start()
      expect(await store.triage.decide(about(99))).toBe('gone')
      expect(await store.triage.triageOf(99)).toBeNull()
    })

    test('keeps text of any kind as it is', async () => {
      const store = await start()
      const id = await make(store)
      const summary = '💥 "quoted" \\ back \u2028 line \u0001 and \'single\''
      await store.triage.decide(about(id, { decision: decision({ summary }) }))
      expect((await shown(store, id)).summary).toBe(summary)
    })
  })

  describe('what triage may set', () => {
    const sets = { set: { category: 'billing', priority: 'high' as const } }
    const sure = decision({ priority: suggestion({ value: 'high' }) })

    test('is set where nobody said anything, with its reason on the timeline', async () => {
      const store = await start()
      const id = await make(store)
      await store.triage.decide(about(id, { ...sets, decision: sure }))
      expect(await store.ticket(id)).toMatchObject({ category: 'billing', priority: 'high' })
      expect(await shown(store, id)).toMatchObject({ category: { set: true }, priority: { set: true } })
      expect((await store.timeline(id))?.at(-1)).toMatchObject({
        kind: 'triaged',
        actor: 'triage',
        changes: {
          category: { from: 'general', to: 'billing' },
          'triage.category': { to: { confidence: 0.97, source: 'model' } },
        },
      })
    })

    test('is not what the sender said, whatever it said', async () => {
      const store = await start()
      const id = await make(store, { category: 'general', priority: 'medium' })
      await store.triage.decide(about(id, { ...sets, decision: sure }))
      expect(await store.ticket(id)).toMatchObject({ category: 'general', priority: 'medium' })
      expect(await shown(store, id)).toMatchObject({ category: { set: false }, priority: { set: false } })
      expect(await store.timeline(id)).toHaveLength(1)
    })

    test('is not what the sender said later, even when that is what the ticket had before', async () => {
      const store = await start()
      const id = await make(store, { externalId: '7' })
      await make(store, { externalId: '7', category: 'general' })
      await store.triage.decide(about(id, { ...sets, decision: sure }))
      expect(await store.ticket(id)).toMatchObject({ category: 'general', priority: 'high' })
    })

    test('is not what a person said, even when that is what the ticket had before', async () => {
      const store = await start()
      const id = await make(store)
      await store.changeTicket(id, { category: 'general' }, 'key:a')
      await store.triage.decide(about(id, { ...sets, decision: sure }))
      expect(await store.ticket(id)).toMatchObject({ category: 'general', priority: 'high' })
    })

    test('is decided anew for another cause, but not over what a person said since', async () => {
      const store = await start()
      const id = await make(store)
      await store.triage.decide(about(id, { ...sets, decision: sure }))
      await store.changeTicket(id, { category: 'access' }, 'key:a')
      const again = { set: { category: 'hardware', priority: 'low' as const }, cause: 'asked' }
      await store.triage.decide(about(id, { ...again, decision: decision({ priority: suggestion({ value: 'low' }) }) }))
      expect(await store.ticket(id)).toMatchObject({ category: 'access', priority: 'low' })
      expect(await shown(store, id)).toMatchObject({ category: { set: false }, priority: { set: true } })
    })

    test('gives way to what the sender says next', async () => {
      const store = await start()
      const id = await make(store, { externalId: '7' })
      await store.triage.decide(about(id, sets))
      await make(store, { externalId: '7', title: 'Still on fire' })
      expect(await store.ticket(id)).toMatchObject({ category: 'billing' })
      await make(store, { externalId: '7', category: 'hardware' })
      expect(await store.ticket(id)).toMatchObject({ category: 'hardware' })
    })

    test('is what a source presets, which is nobody’s word', async () => {
      const store = await start()
      const id = await make(store, { defaults: { category: 'it', priority: 'low' } })
      await store.triage.decide(about(id, sets))
      expect(await store.ticket(id)).toMatchObject({ category: 'billing' })
    })

    test('does not change the answer to the delivery that made the ticket', async () => {
      const store = await start()
      const first = await store.submit(ticketOf({}, { idempotencyKey: 'k', body: 'b' }))
      await store.triage.decide(about(first.ticketId ?? 0, sets))
      const second = await store.submit(ticketOf({}, { idempotencyKey: 'k', body: 'b' }))
      expect(second.answer).toBe(first.answer)
    })
  })

  describe('examples', () => {
    test('are what people say, before what senders say; what nobody said is none', async () => {
      const store = await start()
      const bySender = await make(store, { title: 'A', category: 'billing' })
      const byNobody = await make(store, { title: 'B' })
      const byPerson = await make(store, { title: 'C', category: 'billing' })
      const bySet = await make(store, { title: 'D' })
      await store.changeTicket(byPerson, { category: 'access' }, 'key:a')
      await store.triage.decide(about(bySet, { set: { category: 'billing' } }))
      expect(await store.triage.judge(byNobody, 'priority', 'high', 'key:a')).toBe(true)
      const found = await store.triage.examples('category', 1, bySet)
      expect(found.map(({ ticketId, title, value, isByPerson }) => [ticketId, title, value, isByPerson])).toEqual([
        [byPerson, 'C', 'access', true],
        [bySender, 'A', 'billing', false],
      ])
      expect(await store.triage.examples('priority', 1, bySet)).toMatchObject([{ ticketId: byNobody, value: 'high' }])
      expect(await store.triage.examples('category', 1, bySender)).toHaveLength(1)
    })

    test('tell when they were said: by a person, or by the sender with the ticket or later', async () => {
      const store = await start()
      const said = async (field: 'category' | 'priority', id: number) =>
        (await store.triage.examples(field, id, id))[0]?.saidAt
      const id = await make(store, { externalId: '7', category: 'general' })
      const { createdAt = 0 } = (await store.ticket(id)) ?? {}
      expect(await said('category', id)).toBe(createdAt)
      await delay(5)
      await make(store, { externalId: '7', title: 'Still on fire', description: 'no "category": of mine' })
      expect(await said('category', id)).toBe(createdAt)
      await make(store, { externalId: '7', category: 'billing' })
      const later = (await said('category', id)) ?? 0
      expect(later).toBe((await store.timeline(id))?.at(-1)?.at)
      expect(later).toBeGreaterThan(createdAt)
      await delay(5)
      await store.triage.judge(id, 'category', 'access', 'key:a')
      expect(await said('category', id)).toBe(await store.triage.newestVerdict())
      expect(await said('priority', id)).toBeUndefined()
    })

    test('a word on a ticket that is not there is refused', async () => {
      const store = await start()
      expect(await store.triage.newestVerdict()).toBe(0)
      expect(await store.triage.judge(99, 'category', 'billing', 'key:a')).toBe(false)
      await store.changeTicket(await make(store), { priority: 'low' }, 'key:a')
      expect(await store.triage.newestVerdict()).toBeGreaterThan(Date.now() - 60_000)
    })
  })

  test('accuracy counts what was suggested before a person said what it is', async () => {
    const store = await start()
    const at = Date.UTC(2026, 10, 25) // a Wednesday
    const [right, wrong, unsure, late] = [await make(store), await make(store), await make(store), await make(store)]
    await store.triage.decide(about(right, { at }))
    await store.triage.decide(about(wrong, { at }))
    await store.triage.decide(
      about(unsure, { at, decision: decision({ category: suggestion({ is_sure: false, confidence: 0.4 }) }) }),
    )
    await store.changeTicket(right, { category: 'billing' }, 'key:a')
    await store.triage.judge(wrong, 'category', 'access', 'key:a')
    await store.triage.judge(unsure, 'category', 'billing', 'key:a')
    await store.triage.judge(late, 'category', 'billing', 'key:a')
    await store.triage.decide(about(late, { at: Date.now() + 1000 }))
    expect(await store.triage.accuracy(0)).toEqual([
      { field: 'category', value: 'access', week: '2026-11-23', tickets: 1, right: 0, sure: 1, sureRight: 0 },
      { field: 'category', value: 'billing', week: '2026-11-23', tickets: 2, right: 2, sure: 1, sureRight: 1 },
    ])
    expect(await store.triage.accuracy(Date.now() + 1000)).toEqual([])
  })

  test('vectors are those of one model, newest first, a page at a time', async () => {
    const store = await start()
    const ids = [await make(store), await make(store), await make(store)]
    await store.triage.saveVectors('a', new Map(ids.map((id) => [id, Int8Array.of(id, -128, 127)])))
    await store.triage.saveVectors('b', new Map([[ids[0] ?? 0, Int8Array.of(1)]]))
    const [, second = 0, third = 0] = ids
    expect(await store.triage.vectors('a', third + 1, 1)).toEqual([
      { ticketId: third, vector: Int8Array.of(third, -128, 127) },
    ])
    expect((await store.triage.vectors('a', third, 10)).map(({ ticketId }) => ticketId)).toEqual([second])
    expect(await store.triage.vectors('b', third, 10)).toHaveLength(1)
  })

  test('tickets without a vector of a model are those that it was not asked for, the newest first', async () => {
    const store = await start()
    const ids = [await make(store), await make(store), await make(store), await make(store)]
    const [first = 0, second = 0, third = 0, fourth = 0] = ids
    await store.triage.saveVectors('a', new Map(ids.map((id) => [id, Int8Array.of(id)])))
    expect(await store.triage.unembedded('a', 1, 10)).toEqual({ count: 0, tickets: [] })
    expect(await store.triage.unembedded('b', second, 2)).toEqual({ count: 3, tickets: [fourth, third] })
    // Of a language that it does not know: no vector, and nothing to ask again.
    await store.triage.saveVectors('b', new Map([[fourth, new Int8Array()]]))
    expect(await store.triage.unembedded('b', 1, 10)).toEqual({ count: 3, tickets: [third, second, first] })
    expect(await store.triage.vectors('b', fourth + 1, 10)).toEqual([])
    expect(await store.triage.vectors('a', fourth + 1, 10)).toHaveLength(3)
  })

  test('a setting is what was saved last', async () => {
    const store = await start()
    expect(await store.triage.setting('triage')).toBeNull()
    await store.triage.saveSetting('triage', '{"a":1}')
    await store.triage.saveSetting('triage', '{"a":2}')
    expect(await store.triage.setting('triage')).toBe('{"a":2}')
  })
}
