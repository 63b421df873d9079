import { afterEach, describe, expect, test } from 'vitest'

import type { StoredDraft } from '../../src/core/merge.ts'
import type { Comment, EventKind, TicketEvent } from '../../src/core/ticket.ts'
import type { Store } from '../../src/store/store.ts'
import { type OpenSubject, ticketOf } from './store.ts'

const CONFLICT = { code: 'conflict' }

/** What a sender tells of its ticket 7, in an event. */
const told = (kind: EventKind, over: Partial<StoredDraft> = {}, comment: Comment | null = null) => {
  const event: TicketEvent = { kind, comment, standIn: { title: 'Ticket 7', description: 'Ticket 7' }, reply: null }
  return { externalId: '7', title: null, description: null, ...over, event }
}
const said = (body: string, over: Partial<Comment> = {}): Comment => ({
  id: null,
  body,
  public: true,
  author: null,
  author_id: null,
  by_staff: null,
  ...over,
})

/** What every engine owes a ticket that is merged into another. */
export function mergeContract(open: OpenSubject): void {
  let subject: Awaited<ReturnType<OpenSubject>>
  afterEach(() => subject.dispose())

  const submit = (store: Store, over: Partial<StoredDraft>, body?: string) =>
    store.submit(ticketOf(over, body === undefined ? {} : { body }))
  const last = async (store: Store, id: number) => ((await store.timeline(id)) ?? []).at(-1)
  const lines = async (store: Store, id: number) => ((await store.timeline(id)) ?? []).length

  /** Ticket 1, of a sender that calls it 7, open; and the tickets after it. */
  async function start(others = 1): Promise<Store> {
    subject = await open()
    await submit(subject.store, { externalId: '7', status: 'open' }, 'made')
    for (let count = 0; count < others; count += 1) await submit(subject.store, {})
    return subject.store
  }

  test('is closed, names the one that stands for it, and both timelines say so; also after a restart', async () => {
    const store = await start()
    const before = await store.ticket(1)
    const merged = await store.mergeTicket(1, 2, 'ann')
    expect(merged).toMatchObject({ status: 'closed', merged: { into: 2, status: 'open' } })
    expect(merged?.resolvedAt).toBe(merged?.updatedAt)
    expect(await last(store, 1)).toMatchObject({
      kind: 'merged',
      actor: 'ann',
      changes: { status: { from: 'open', to: 'closed' }, merged_into: { from: null, to: 2 } },
    })
    expect(await last(store, 2)).toMatchObject({ kind: 'merged', changes: { merged: { from: null, to: 1 } } })
    const again = await subject.reopen()
    expect(await again.ticket(1)).toEqual(merged)
    expect([await again.mergedInto(1), await again.mergedInto(2)]).toEqual([[], [1]])

    const apart = await again.unmergeTicket(1, 'bob')
    expect(apart).toEqual({ ...before, updatedAt: apart?.updatedAt })
    expect(await again.ticket(1)).toEqual(apart)
    expect(await last(again, 1)).toMatchObject({
      kind: 'unmerged',
      actor: 'bob',
      changes: { status: { from: 'closed', to: 'open' }, merged_into: { from: 2, to: null } },
    })
    expect(await last(again, 2)).toMatchObject({ kind: 'unmerged', changes: { merged: { from: 1, to: null } } })
    expect(await again.mergedInto(2)).toEqual([])
    expect(await subject.audit()).toMatchObject({ orphans: 0, sound: true })
  })

  test('is merged and un-merged once, however often it is asked for', async () => {
    const store = await start()
    const first = await store.mergeTicket(1, 2, 'ann')
    expect(await store.mergeTicket(1, 2, 'bob')).toEqual(first)
    expect([await lines(store, 1), await lines(store, 2)]).toEqual([2, 2])
    const apart = await store.unmergeTicket(1, 'ann')
    expect(await store.unmergeTicket(1, 'ann')).toEqual(apart)
    expect([await lines(store, 1), await lines(store, 2)]).toEqual([3, 3])
    expect([await store.mergeTicket(99, 2, 'ann'), await store.unmergeTicket(99, 'ann')]).toEqual([null, null])
  })

  test('keeps when it was solved, where it was before', async () => {
    const store = await start()
    const solved = await store.changeTicket(1, { status: 'resolved' }, 'ann')
    expect(await store.mergeTicket(1, 2, 'ann')).toMatchObject({ status: 'closed', resolvedAt: solved?.resolvedAt })
    expect(await store.unmergeTicket(1, 'ann')).toMatchObject({ status: 'resolved', resolvedAt: solved?.resolvedAt })
  })

  test('is one step from the one that stands for it: no chain, no circle', async () => {
    const store = await start(2)
    await expect(store.mergeTicket(1, 1, 'ann')).rejects.toMatchObject(CONFLICT)
    await expect(store.mergeTicket(1, 99, 'ann')).rejects.toMatchObject({ ...CONFLICT, message: /no ticket 99/ })
    await store.mergeTicket(1, 2, 'ann')
    await expect(store.mergeTicket(1, 3, 'ann')).rejects.toMatchObject({ ...CONFLICT, message: /into 2 already/ })
    await expect(store.mergeTicket(2, 1, 'ann')).rejects.toMatchObject({ ...CONFLICT, message: /into 2 already/ })
    await expect(store.mergeTicket(3, 1, 'ann')).rejects.toMatchObject({ ...CONFLICT, message: /merge 3 into 2/ })
    await expect(store.mergeTicket(2, 3, 'ann')).rejects.toMatchObject({
      ...CONFLICT,
      message: /\(1\); merge 3 into 2/,
    })
    expect(await Promise.all([1, 2, 3].map((id) => lines(store, id)))).toEqual([2, 2, 1])
    await store.mergeTicket(3, 2, 'ann')
    expect(await store.mergedInto(2)).toEqual([1, 3])
  })

  test('of merges that cross, at once, exactly one comes about', async () => {
    const store = await start(2)
    for (const [one, other] of [
      [1, 2],
      [2, 3],
      [3, 1],
    ] as const) {
      const results = await Promise.allSettled([
        store.mergeTicket(one, other, 'ann'),
        store.mergeTicket(other, one, 'bob'),
      ])
      expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
      const [merged] = [...(await store.mergedInto(one)), ...(await store.mergedInto(other))]
      await store.unmergeTicket(merged ?? 0, 'ann')
    }
  })

  test('is changed by nobody but in what does not open it', async () => {
    const store = await start()
    await store.mergeTicket(1, 2, 'ann')
    const refusal = { ...CONFLICT, message: /merged into 2/ }
    await expect(store.changeTicket(1, { status: 'open' }, 'ann')).rejects.toMatchObject(refusal)
    expect(await store.changeTicket(1, { status: 'closed', category: 'billing' }, 'ann')).toMatchObject({
      status: 'closed',
      category: 'billing',
    })
    expect(await store.unmergeTicket(1, 'ann')).toMatchObject({ status: 'open', category: 'billing' })
  })

  describe('what comes for a merged ticket', () => {
    test('is kept on it, told to the other by number alone, once, and its status counts when it is un-merged', async () => {
      const store = await start()
      await store.mergeTicket(1, 2, 'ann')
      const body = 'an update'
      const update = { externalId: '7', title: 'Smoke', status: 'pending' as const }
      const receipt = await submit(store, update, body)
      expect(receipt).toMatchObject({ outcome: 'updated', ticketId: 1, relayedTo: [2] })
      expect(JSON.parse(receipt.answer)).toMatchObject({ id: 1, title: 'Smoke', status: 'closed' })
      expect(JSON.parse(receipt.answer)).not.toHaveProperty('merged_into')
      expect(await submit(store, update, body)).toMatchObject({ outcome: 'duplicate', ticketId: 1 })
      expect(await store.ticket(1)).toMatchObject({ title: 'Smoke', status: 'closed', merged: { into: 2 } })
      expect(await last(store, 1)).toMatchObject({ kind: 'updated', deliveryId: receipt.deliveryId })
      const relayed = { from: null, to: { ticket: 1, kind: 'updated' } }
      expect(await last(store, 2)).toMatchObject({ kind: 'relayed', deliveryId: null, comment: null })
      expect((await last(store, 2))?.changes).toEqual({ relayed })
      expect(await lines(store, 2)).toBe(3)
      expect(await store.ticket(2)).toMatchObject({ status: 'new' })
      expect(await store.unmergeTicket(1, 'ann')).toMatchObject({ status: 'pending', title: 'Smoke' })
      await submit(store, { externalId: '7', title: 'Fire' })
      expect(await lines(store, 2)).toBe(4)
    })

    test('opens the other again where it would open this one, and this one stays closed', async () => {
      for (const news of [
        told('reopened', { status: 'open' }),
        told('commented', {}, said('Still burning', { by_staff: false })),
      ]) {
        const store = await start()
        await store.mergeTicket(1, 2, 'ann')
        await store.changeTicket(2, { status: 'resolved' }, 'ann')
        await submit(store, told('commented', {}, said('Same as the other', { by_staff: true })))
        await submit(store, told('commented', {}, said('Psst', { by_staff: false, public: false })))
        expect(await store.ticket(2)).toMatchObject({ status: 'resolved' })
        await submit(store, news)
        expect(await store.ticket(1)).toMatchObject({ status: 'closed', merged: { into: 2 } })
        expect(await store.ticket(2)).toMatchObject({ status: 'open', resolvedAt: null })
        expect(await last(store, 2)).toMatchObject({
          kind: 'relayed',
          changes: { relayed: { to: { ticket: 1, kind: news.event.kind } }, status: { from: 'resolved', to: 'open' } },
        })
        await subject.dispose()
      }
      await start()
    })

    test('by mail opens the other too', async () => {
      const store = await start()
      await store.mergeTicket(1, 2, 'ann')
      await store.changeTicket(2, { status: 'closed' }, 'ann')
      const mail = told('created', { externalId: '8', title: 'Re: Fire' })
      const answer = { ...mail, event: { ...mail.event, reply: { to: ['7'], comment: said('Hello?') } } }
      expect(await submit(store, answer)).toMatchObject({ outcome: 'commented', ticketId: 1 })
      expect(await store.ticket(2)).toMatchObject({ status: 'open' })
      expect(await store.unmergeTicket(1, 'ann')).toMatchObject({ status: 'open' })
    })

    test('in a batch, or too late, is told as any other; nothing new is not', async () => {
      const store = await start()
      await submit(store, { externalId: '7', title: 'now', sentUpdatedAt: 2000 })
      await store.mergeTicket(1, 2, 'ann')
      await submit(store, { externalId: '7', title: 'then', sentUpdatedAt: 1000 })
      await submit(store, { externalId: '7', title: 'now', sentUpdatedAt: 2000 })
      expect(await last(store, 2)).toMatchObject({ kind: 'merged' })
      const item = ticketOf({ externalId: '7', title: 'in a batch', sentUpdatedAt: 3000 })
      if (item.kind !== 'ticket') return expect.unreachable()
      const { draft, delivery } = item
      const receipt = await store.submit({ kind: 'batch', delivery, items: [{ draft, fingerprint: 'item' }] })
      expect(receipt.relayedTo).toEqual([2])
      expect(await last(store, 2)).toMatchObject({ kind: 'relayed' })
    })
  })

  test('stays merged through another mapping; the status that one makes counts when it is un-merged', async () => {
    const store = await start()
    await store.mergeTicket(1, 2, 'ann')
    const remap = {
      ticketId: 1,
      fields: { status: 'pending' as const, title: 'mapped' },
      metadata: { set: {}, unset: [] },
    }
    expect(await store.heldTicket(1)).toMatchObject({ ticket: { status: 'open' } })
    expect(await store.remap([remap], 'bob')).toBe(1)
    expect(await store.ticket(1)).toMatchObject({ status: 'closed', title: 'mapped', merged: { into: 2 } })
    expect(await store.unmergeTicket(1, 'ann')).toMatchObject({ status: 'pending' })
  })

  test('is found apart from those that stand for themselves', async () => {
    const store = await start(2)
    const ids = async (query: { merged?: boolean; status?: 'closed'; q?: string }) =>
      (await store.tickets({ limit: 10, ...query })).map(({ id }) => id)
    await store.mergeTicket(1, 2, 'ann')
    await store.changeTicket(3, { status: 'closed' }, 'ann')
    expect(await ids({})).toEqual([3, 2, 1])
    expect(await ids({ merged: true })).toEqual([1])
    expect(await ids({ merged: false })).toEqual([3, 2])
    expect(await ids({ merged: true, q: 'printer' })).toEqual([1])
    expect(await ids({ merged: false, q: 'printer', status: 'closed' })).toEqual([3])
    expect(await ids({ merged: true, q: 'absent' })).toEqual([])
    await store.unmergeTicket(1, 'ann')
    expect(await ids({ merged: true })).toEqual([])
    expect(await ids({ merged: false, q: 'printer' })).toEqual([3, 2, 1])
  })
}
