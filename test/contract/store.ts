import { hash, randomUUID } from 'node:crypto'
import { afterEach, describe, expect, test } from 'vitest'
import type { ApiKey } from '../../src/core/key.ts'
import type { StoredDraft } from '../../src/core/merge.ts'
import type { SourceSettings } from '../../src/core/source.ts'
import { type Comment, EVENT_KINDS, type EventKind, type TicketEvent } from '../../src/core/ticket.ts'
import { verifyAudit } from '../../src/store/audit.ts'
import type { StoredSession } from '../../src/store/key-store.ts'
import type { Item, NewDelivery, Receipt, Store, Submission } from '../../src/store/store.ts'

/** A store to be tested, with what only its own engine can tell or do. */
type Subject = {
  store: Store
  /** Closes it and opens it again on the same data. */
  reopen: () => Promise<Store>
  /** How many jobs wait, how many rows point at a ticket that is not there, and what the engine's own check says. */
  audit: () => Promise<{ jobs: number; orphans: number; sound: boolean }>
  dispose: () => Promise<void>
}

export type OpenSubject = (options?: { maxQueued?: number }) => Promise<Subject>

export const draft = (over: Partial<StoredDraft> = {}): StoredDraft => ({
  platform: 'custom',
  account: '',
  externalId: null,
  title: 'Printer on fire',
  description: 'It burns since nine.',
  category: null,
  priority: null,
  userId: null,
  userEmail: null,
  metadata: '{}',
  sentUpdatedAt: null,
  status: null,
  event: null,
  ...over,
})

export const delivery = (over: Partial<NewDelivery> = {}): NewDelivery => {
  const body = over.body ?? randomUUID()
  return {
    receivedAt: Date.now(),
    source: 'open',
    address: '127.0.0.1',
    method: 'POST',
    path: '/api/integrations/webhook',
    headers: '{}',
    body,
    bodySize: body.length,
    bodySha256: hash('sha256', body),
    requestId: randomUUID(),
    platform: 'flat',
    idempotencyKey: null,
    keyIsPlatforms: false,
    fingerprint: null,
    receivedSha256: null,
    replayOf: null,
    ...over,
  }
}

export const ticketOf = (
  draftOver: Partial<StoredDraft> = {},
  deliveryOver: Partial<NewDelivery> = {},
): Submission => ({
  kind: 'ticket',
  draft: draft(draftOver),
  delivery: delivery(deliveryOver),
})

const item = (over: Partial<StoredDraft> = {}): Item => {
  const made = draft(over)
  return { draft: made, fingerprint: `item:${hash('sha256', JSON.stringify(made))}` }
}

/** What every engine owes. Met by each store, word for word. */
export function storeContract(open: OpenSubject): void {
  let subject: Subject
  const start = async (options?: { maxQueued?: number }) => {
    subject = await open(options)
    return subject.store
  }
  afterEach(() => subject.dispose())

  const count = async (store: Store) => (await store.tickets({ limit: 1000 })).length
  const submitTicket = (store: Store, over: Partial<StoredDraft> = {}, row: Partial<NewDelivery> = {}) =>
    store.submit(ticketOf(over, row))
  const parsed = (receipt: Receipt) => JSON.parse(receipt.answer)

  describe('a new ticket', () => {
    test('is answered with its number, its defaults and its history, and has a delivery and a job', async () => {
      const store = await start()
      const receipt = await submitTicket(store)
      expect(receipt).toMatchObject({ outcome: 'created', replayed: false, keyReused: false })
      expect(parsed(receipt)).toMatchObject({
        id: receipt.ticketId,
        category: 'general',
        priority: 'medium',
        status: 'new',
      })
      expect(await store.delivery(receipt.deliveryId)).toMatchObject({
        outcome: 'created',
        status: 200,
        ticketId: receipt.ticketId,
      })
      expect(await store.timeline(receipt.ticketId ?? 0)).toMatchObject([
        { kind: 'created', deliveryId: receipt.deliveryId },
      ])
      expect(await subject.audit()).toEqual({ jobs: 1, orphans: 0, sound: true })
    })

    test('is numbered upwards, also after the store was opened again', async () => {
      const store = await start()
      const first = await submitTicket(store)
      const again = await subject.reopen()
      const second = await submitTicket(again)
      expect(second.ticketId).toBe((first.ticketId ?? 0) + 1)
      expect(second.deliveryId).toBe(first.deliveryId + 1)
      expect(await count(again)).toBe(2)
    })

    test('without an external id is always another one', async () => {
      const store = await start()
      const body = 'the same'
      await submitTicket(store, {}, { body })
      await submitTicket(store, {}, { body })
      expect(await count(store)).toBe(2)
    })
  })

  describe('what a receipt is to prove', () => {
    test('is the body, the ticket and the place in the audit log; nothing of what was refused', async () => {
      const store = await start()
      const [made, refused, again, reused] = await Promise.all([
        submitTicket(store, {}, { body: 'b', idempotencyKey: 'k' }),
        store.submit({ kind: 'refusal', delivery: delivery(), status: 400, reason: 'no' }),
        submitTicket(store, {}, { body: 'b', idempotencyKey: 'k' }),
        submitTicket(store, {}, { body: 'c', idempotencyKey: 'k' }),
      ])
      for (const { proof, ticketId, deliveryId } of [made, again]) {
        const { link } = (await store.delivery(deliveryId)) ?? {}
        expect(JSON.parse(proof ?? '')).toEqual({ bodySha256: hash('sha256', 'b'), ticketId, deliveryId, link })
      }
      expect([refused.proof, reused.keyReused, reused.proof]).toEqual([null, true, null])
    })
  })

  describe('the same delivery again', () => {
    test('by key: one ticket and the same answer to the byte', async () => {
      const store = await start()
      const [first, second] = [
        await submitTicket(store, {}, { body: 'b', idempotencyKey: 'k' }),
        await submitTicket(store, {}, { body: 'b', idempotencyKey: 'k' }),
      ]
      expect(second).toMatchObject({
        outcome: 'duplicate',
        replayed: true,
        ticketId: first.ticketId,
        answer: first.answer,
      })
      expect(await count(store)).toBe(1)
      expect(await store.deliveries({ limit: 10 })).toMatchObject([{ outcome: 'duplicate' }, { outcome: 'created' }])
    })

    test('by key, after the ticket was changed: still the first answer', async () => {
      const store = await start()
      const first = await submitTicket(store, {}, { body: 'b', idempotencyKey: 'k' })
      await store.changeTicket(first.ticketId ?? 0, { status: 'closed', priority: 'urgent' }, 'api')
      const second = await submitTicket(await subject.reopen(), {}, { body: 'b', idempotencyKey: 'k' })
      expect(second.answer).toBe(first.answer)
    })

    test('by key with another body: refused, on record, and no ticket', async () => {
      const store = await start()
      const first = await submitTicket(store, {}, { body: 'a', idempotencyKey: 'k' })
      const second = await submitTicket(store, {}, { body: 'b', idempotencyKey: 'k' })
      expect(second).toMatchObject({ outcome: 'rejected', keyReused: true, ticketId: null })
      expect(await store.delivery(second.deliveryId)).toMatchObject({
        status: 422,
        reason: expect.stringContaining(`${first.deliveryId}`),
      })
      expect(await count(store)).toBe(1)
    })

    test('keys of two sources are two keys', async () => {
      const store = await start()
      await submitTicket(store, {}, { body: 'a', idempotencyKey: 'k', source: 'one' })
      await submitTicket(store, {}, { body: 'b', idempotencyKey: 'k', source: 'two' })
      expect(await count(store)).toBe(2)
    })

    test('64 at once: one ticket and 64 identical answers', async () => {
      const store = await start()
      const receipts = await Promise.all(
        Array.from({ length: 64 }, () => submitTicket(store, {}, { body: 'b', idempotencyKey: 'k' })),
      )
      expect(new Set(receipts.map(({ answer }) => answer)).size).toBe(1)
      expect(receipts.filter(({ replayed }) => !replayed)).toHaveLength(1)
      expect(await subject.audit()).toMatchObject({ jobs: 1, orphans: 0 })
    })

    test('without a key, by the same body about the same ticket: the first answer, even when others came between', async () => {
      const store = await start()
      const send = (title: string) => submitTicket(store, { externalId: '7', title }, { body: title })
      const first = await send('A')
      const second = await send('B')
      expect(await send('A')).toMatchObject({ outcome: 'duplicate', replayed: true, answer: first.answer })
      expect(await send('B')).toMatchObject({ outcome: 'duplicate', replayed: true, answer: second.answer })
      expect((await store.ticket(first.ticketId ?? 0))?.title).toBe('B')
    })
  })

  describe('the same ticket with other content', () => {
    test('is updated, and its history keeps both', async () => {
      const store = await start()
      const first = await submitTicket(store, { externalId: '7', title: 'A', metadata: '{"a":1,"b":2}' })
      const second = await submitTicket(store, { externalId: '7', title: 'B', priority: 'high', metadata: '{"b":3}' })
      expect(second).toMatchObject({ outcome: 'updated', ticketId: first.ticketId, replayed: false })
      expect(parsed(second)).toMatchObject({ title: 'B', priority: 'high', ticket_metadata: { a: 1, b: 3 } })
      const history = await store.timeline(first.ticketId ?? 0)
      expect(history).toHaveLength(2)
      expect(history?.[1]).toMatchObject({
        kind: 'updated',
        deliveryId: second.deliveryId,
        changes: { title: { from: 'A', to: 'B' }, 'ticket_metadata.b': { from: 2, to: 3 } },
      })
      expect(await count(store)).toBe(1)
      expect(await subject.audit()).toMatchObject({ jobs: 1, orphans: 0 })
    })

    test('keeps what the update does not say', async () => {
      const store = await start()
      await submitTicket(store, { externalId: '7', category: 'billing', priority: 'high', userEmail: 'a@b.example' })
      const second = await submitTicket(store, { externalId: '7', title: 'B' })
      expect(parsed(second)).toMatchObject({ category: 'billing', priority: 'high', user_email: 'a@b.example' })
    })

    test('is another ticket under another platform or account', async () => {
      const store = await start()
      await submitTicket(store, { externalId: '7' })
      await submitTicket(store, { externalId: '7', platform: 'jira' })
      await submitTicket(store, { externalId: '7', platform: 'jira', account: 'acme' })
      expect(await count(store)).toBe(3)
    })

    test('never goes back to an older state; the history shows what came late', async () => {
      const store = await start()
      const first = await submitTicket(store, { externalId: '7', title: 'new', sentUpdatedAt: 2000 })
      const late = await submitTicket(store, { externalId: '7', title: 'old', sentUpdatedAt: 1000 })
      expect(late).toMatchObject({ outcome: 'ignored', ticketId: first.ticketId })
      expect(parsed(late).title).toBe('new')
      expect((await store.timeline(first.ticketId ?? 0))?.[1]).toMatchObject({
        kind: 'outdated',
        changes: { title: { to: 'old' } },
      })
    })

    test('leaves what a person set, until the sender says something new', async () => {
      const store = await start()
      const { ticketId } = await submitTicket(store, { externalId: '7', priority: 'low', title: 'A' })
      await store.changeTicket(ticketId ?? 0, { priority: 'urgent' }, 'api')
      const same = await submitTicket(store, { externalId: '7', priority: 'low', title: 'B' })
      expect(parsed(same)).toMatchObject({ title: 'B', priority: 'urgent' })
      const other = await submitTicket(store, { externalId: '7', priority: 'high', title: 'C' })
      expect(parsed(other)).toMatchObject({ title: 'C', priority: 'high' })
    })
  })

  describe('an event of a sender', () => {
    /** The draft of an event about ticket 7, and the store's own delivery. */
    const told = (kind: EventKind, over: Partial<StoredDraft> = {}, event: Partial<TicketEvent> = {}) => ({
      externalId: '7',
      event: {
        kind,
        comment: null,
        standIn: { title: 'Custom ticket 7', description: 'Custom ticket 7' },
        reply: null,
        ...event,
      },
      ...over,
    })
    const comment = (over: Partial<Comment> = {}): Comment => ({
      id: 'c1',
      body: 'We are on it.',
      public: true,
      author: 'Ann',
      author_id: '9',
      by_staff: true,
      ...over,
    })
    const untold = { title: null, description: null }
    const latest = async (store: Store) => (await store.ticket(1)) ?? expect.fail('no ticket')

    test('of a ticket never heard of makes it, whatever the event', async () => {
      for (const kind of EVENT_KINDS.filter((one) => one !== 'deleted')) {
        const store = await start()
        const receipt = await submitTicket(store, told(kind, untold))
        expect(receipt).toMatchObject({ outcome: 'created', ticketId: 1 })
        expect(parsed(receipt)).toMatchObject({ title: 'Custom ticket 7', description: 'Custom ticket 7' })
        await subject.dispose()
      }
      await start()
      // A store for each kind of event.
    }, 120_000)

    test('that a ticket never heard of is gone makes none', async () => {
      const store = await start()
      const receipt = await submitTicket(store, told('deleted', untold))
      expect(receipt).toMatchObject({ outcome: 'ignored', ticketId: null })
      expect(parsed(receipt)).toEqual({ status: 'ignored', reason: 'unknown_ticket' })
      expect(await store.delivery(receipt.deliveryId)).toMatchObject({ outcome: 'ignored', ticketId: null })
      expect(await subject.audit()).toEqual({ jobs: 0, orphans: 0, sound: true })
    })

    test('keeps its kind, its comment and its delivery on the timeline', async () => {
      const store = await start()
      await submitTicket(store, told('created', { status: 'new' }))
      const receipt = await submitTicket(store, told('commented', untold, { comment: comment({ public: false }) }))
      expect(receipt).toMatchObject({ outcome: 'commented', ticketId: 1 })
      await submitTicket(store, told('solved', { status: 'resolved', ...untold }))
      await submitTicket(store, told('reopened', { status: 'open', ...untold }))
      await submitTicket(store, told('deleted', { status: 'closed', ...untold }))
      expect(await store.timeline(1)).toMatchObject([
        { kind: 'created', comment: null },
        {
          kind: 'commented',
          comment: { id: 'c1', body: 'We are on it.', public: false },
          deliveryId: receipt.deliveryId,
        },
        { kind: 'solved', changes: { status: { from: 'new', to: 'resolved' } } },
        { kind: 'reopened', changes: { status: { from: 'resolved', to: 'open' } } },
        { kind: 'deleted', changes: { status: { from: 'open', to: 'closed' } } },
      ])
      expect(await subject.audit()).toEqual({ jobs: 1, orphans: 0, sound: true })
    })

    test('resolves a ticket at the time it came, and a reopening takes that back', async () => {
      const store = await start()
      await submitTicket(store, told('created'))
      await submitTicket(store, told('solved', { status: 'resolved' }), { receivedAt: 5000 })
      expect(await latest(store)).toMatchObject({ status: 'resolved', resolvedAt: 5000 })
      await submitTicket(store, told('reopened', { status: 'open' }))
      expect(await latest(store)).toMatchObject({ status: 'open', resolvedAt: null })
    })

    test('first heard of when it is solved is resolved, and has its comment', async () => {
      const store = await start()
      const said = told('solved', { status: 'resolved' }, { comment: comment() })
      expect(parsed(await submitTicket(store, said))).toMatchObject({
        status: 'resolved',
        resolved_at: expect.any(String),
      })
      expect(await store.timeline(1)).toMatchObject([{ kind: 'created' }, { kind: 'commented', comment: { id: 'c1' } }])
    })

    test('does not say a comment twice, whatever delivery tells of it; an edited one is said again', async () => {
      const store = await start()
      await submitTicket(store, told('created'))
      for (const [kind, body] of [
        ['commented', 'first'],
        ['updated', 'first'],
        ['commented', 'edited'],
      ] as const) {
        await submitTicket(store, told(kind, untold, { comment: comment({ body }) }))
      }
      const bodies = (await store.timeline(1))?.flatMap((entry) => entry.comment?.body ?? [])
      expect(bodies).toEqual(['first', 'edited'])
    })

    test('that a ticket was made comes too late to overwrite what is newer, and fills in what nobody said', async () => {
      const store = await start()
      await submitTicket(
        store,
        told('updated', { title: 'B', description: null, priority: 'urgent', sentUpdatedAt: 2000 }),
      )
      const late = told('created', {
        title: 'A',
        description: 'text',
        priority: 'low',
        userEmail: 'a@b.example',
        sentUpdatedAt: 1000,
      })
      expect(await submitTicket(store, late)).toMatchObject({ outcome: 'ignored', ticketId: 1 })
      expect(await latest(store)).toMatchObject({ title: 'B', priority: 'urgent', userEmail: 'a@b.example' })
      const sameTime = told('created', { title: 'A', description: 'text', priority: 'low', sentUpdatedAt: 2000 })
      await submitTicket(store, sameTime)
      expect(await latest(store)).toMatchObject({ title: 'B', priority: 'urgent' })
    })

    test('that a ticket was made is told in full where only a comment was heard of before', async () => {
      const store = await start()
      await submitTicket(store, told('commented', untold, { comment: comment() }))
      await submitTicket(store, told('created', { title: 'A', description: 'text', priority: 'high' }))
      expect(await latest(store)).toMatchObject({ title: 'A', description: 'text', priority: 'high' })
    })

    test('older than what is stored changes nothing that is known', async () => {
      const store = await start()
      await submitTicket(store, told('updated', { title: 'new', status: 'resolved', sentUpdatedAt: 2000 }))
      await submitTicket(store, told('updated', { title: 'old', status: 'open', sentUpdatedAt: 1000 }))
      expect(await latest(store)).toMatchObject({ title: 'new', status: 'resolved' })
    })

    test('with a comment that does not say how old its view is leaves the ticket as it is', async () => {
      const store = await start()
      await submitTicket(store, told('updated', { title: 'A', priority: 'urgent', sentUpdatedAt: 2000 }))
      const said = told('commented', { title: 'older', priority: 'low' }, { comment: comment() })
      expect(await submitTicket(store, said)).toMatchObject({ outcome: 'commented' })
      expect(await latest(store)).toMatchObject({ title: 'A', priority: 'urgent' })
      await submitTicket(store, told('solved', { title: 'A', status: 'resolved', sentUpdatedAt: 2000 }))
      expect(await latest(store)).toMatchObject({ status: 'resolved' })
    })

    test('leaves a status that a person set, until the sender says another', async () => {
      const store = await start()
      await submitTicket(store, told('created', { status: 'new', sentUpdatedAt: 1 }))
      await store.changeTicket(1, { status: 'pending' }, 'api')
      await submitTicket(store, told('updated', { status: 'open', title: 'B', sentUpdatedAt: 2 }))
      expect(await latest(store)).toMatchObject({ title: 'B', status: 'pending' })
      await submitTicket(store, told('solved', { status: 'resolved', title: 'B', sentUpdatedAt: 3 }))
      expect(await latest(store)).toMatchObject({ status: 'resolved' })
    })

    test('of a part of the ticket leaves the other parts of its metadata', async () => {
      const store = await start()
      const whole = { metadata: '{"tags":["a"],"unmapped":{"detail":{"group":1,"brand":2}}}', sentUpdatedAt: 1 }
      await submitTicket(store, told('created', whole))
      await submitTicket(store, told('updated', { metadata: '{"unmapped":{"detail":{"group":3}}}', sentUpdatedAt: 2 }))
      expect(JSON.parse((await latest(store)).metadata)).toEqual({
        tags: ['a'],
        unmapped: { detail: { group: 3, brand: 2 } },
      })
      expect((await store.timeline(1))?.at(-1)?.changes).toEqual({
        'ticket_metadata.unmapped.detail.group': { from: 1, to: 3 },
      })
    })

    test('under the platform’s own delivery id: the same body is a repeat, another one is worked', async () => {
      const store = await start()
      const key = { idempotencyKey: 'd1', keyIsPlatforms: true }
      const first = await submitTicket(store, told('created'), { body: 'a', ...key })
      expect(await submitTicket(store, told('created'), { body: 'a', ...key })).toMatchObject({
        outcome: 'duplicate',
        answer: first.answer,
      })
      const more = await submitTicket(store, told('updated', { title: 'B' }), { body: 'b', ...key })
      expect(more).toMatchObject({ outcome: 'updated', ticketId: 1, keyReused: false })
      expect(await count(store)).toBe(1)
    })

    test('without a time, in the same bytes: a retry within two hours, and news after that', async () => {
      const store = await start()
      const hours = (hour: number) => ({ receivedAt: 1_000_000 + hour * 3_600_000 })
      const solve = (at: number) =>
        submitTicket(store, told('solved', { status: 'resolved' }), { body: 's', ...hours(at) })
      await submitTicket(store, told('created'), { body: 'c', ...hours(0) })
      await solve(1)
      expect(await solve(2.5)).toMatchObject({ outcome: 'duplicate', replayed: true })
      await submitTicket(store, told('reopened', { status: 'open' }), { body: 'r', ...hours(3) })
      expect(await solve(5)).toMatchObject({ outcome: 'updated', replayed: false })
      expect(await solve(6)).toMatchObject({ outcome: 'duplicate' })
      expect(await latest(store)).toMatchObject({ status: 'resolved' })
      expect(await count(store)).toBe(1)
    })

    test('without any identity but the platform’s delivery id makes one ticket', async () => {
      const store = await start()
      const key = { idempotencyKey: 'd1', keyIsPlatforms: true }
      await submitTicket(store, told('created', { externalId: null }), { body: 'a', ...key })
      const again = await submitTicket(store, told('created', { externalId: null }), { body: 'b', ...key })
      expect(again).toMatchObject({ outcome: 'duplicate', ticketId: 1 })
      expect(await count(store)).toBe(1)
    })

    test('that is nothing to keep is on record, also when it comes again', async () => {
      const store = await start()
      const ping = () =>
        store.submit({
          kind: 'ignored',
          delivery: delivery({ idempotencyKey: 'p', keyIsPlatforms: true }),
          reason: 'ping',
          answer: '{}',
        })
      await ping()
      const receipt = await ping()
      expect(await store.delivery(receipt.deliveryId)).toMatchObject({
        outcome: 'ignored',
        status: 200,
        reason: 'ping',
      })
      expect(await count(store)).toBe(0)
    })

    test('in a batch that is nothing to keep is counted apart', async () => {
      const store = await start()
      const items: Item[] = [{ ignored: 'not_a_ticket' }, item({ title: 'one' })]
      expect(parsed(await store.submit({ kind: 'batch', delivery: delivery(), items }))).toMatchObject({
        created_count: 1,
        failed_count: 0,
        ignored_count: 1,
        ignored: [{ index: 0, reason: 'not_a_ticket' }],
      })
    })

    describe('that is a mail', () => {
      const mail = (id: string, to: string[], body = `text of ${id}`) => ({
        ...told('created', { externalId: id, title: `Re: ${id}`, description: body, priority: 'high' as const }),
        event: {
          kind: 'created' as const,
          comment: null,
          standIn: { title: `Mail ${id}`, description: '' },
          reply: to.length === 0 ? null : { to, comment: comment({ id, body, by_staff: null }) },
        },
      })

      test('is a comment on the ticket that it answers, however far back', async () => {
        const store = await start()
        await submitTicket(store, mail('<1>', []))
        expect(await submitTicket(store, mail('<3>', ['<1>', '<2>']))).toMatchObject({
          outcome: 'commented',
          ticketId: 1,
        })
        expect(await latest(store)).toMatchObject({ title: 'Re: <1>', description: 'text of <1>' })
        expect((await store.timeline(1))?.[1]).toMatchObject({ kind: 'commented', comment: { id: '<3>' } })
        expect(await count(store)).toBe(1)
      })

      test('sent again by its gateway, with other bytes, is said once', async () => {
        const store = await start()
        await submitTicket(store, mail('<1>', []), { body: 'a' })
        for (const body of ['b', 'c']) await submitTicket(store, mail('<2>', ['<1>']), { body })
        expect((await store.timeline(1))?.filter((entry) => entry.comment)).toHaveLength(1)
      })

      test('is a ticket of its own where the one it answers is not known, and stays that', async () => {
        const store = await start()
        expect(await submitTicket(store, mail('<2>', ['<1>']))).toMatchObject({ outcome: 'created', ticketId: 1 })
        await submitTicket(store, mail('<1>', []))
        await submitTicket(store, mail('<2>', ['<1>']))
        expect(await count(store)).toBe(2)
        expect((await store.timeline(2))?.filter((entry) => entry.comment)).toEqual([])
      })

      test('opens a resolved ticket again', async () => {
        const store = await start()
        await submitTicket(store, mail('<1>', []))
        await store.changeTicket(1, { status: 'resolved' }, 'api')
        await submitTicket(store, mail('<2>', ['<1>']))
        expect(await latest(store)).toMatchObject({ status: 'open', resolvedAt: null })
        expect((await store.timeline(1))?.at(-1)).toMatchObject({ kind: 'reopened', comment: { id: '<2>' } })
      })
    })
  })

  describe('a batch', () => {
    test('stores the good items in one transaction and names the bad ones', async () => {
      const store = await start()
      const items = [item({ title: 'one' }), { error: 'Title or subject is required' }, item({ title: 'two' })]
      const receipt = await store.submit({ kind: 'batch', delivery: delivery(), items })
      expect(parsed(receipt)).toEqual({
        created_count: 2,
        failed_count: 1,
        created_tickets: [
          { index: 0, ticket_id: 1, title: 'one' },
          { index: 2, ticket_id: 2, title: 'two' },
        ],
        failed_tickets: [{ index: 1, error: 'Title or subject is required' }],
      })
      expect(await subject.audit()).toEqual({ jobs: 2, orphans: 0, sound: true })
    })

    test('sent again with its key makes nothing new', async () => {
      const store = await start()
      const send = () =>
        store.submit({ kind: 'batch', delivery: delivery({ body: 'b', idempotencyKey: 'k' }), items: [item(), item()] })
      const first = await send()
      expect(await send()).toMatchObject({ replayed: true, answer: first.answer })
      expect(await count(store)).toBe(2)
    })

    test('of tickets that are there already, by their external ids, doubles none', async () => {
      const store = await start()
      const items = [item({ externalId: '1' }), item({ externalId: '2' }), item({ externalId: '1' })]
      await store.submit({ kind: 'batch', delivery: delivery(), items })
      await store.submit({ kind: 'batch', delivery: delivery(), items })
      expect(await count(store)).toBe(2)
    })
  })

  describe('a group of commits', () => {
    test('keeps the order in which it was handed in', async () => {
      const store = await start()
      const receipts = await Promise.all(
        Array.from({ length: 500 }, (_, index) => submitTicket(store, { title: `t${index}` })),
      )
      expect(receipts.map(({ ticketId }) => ticketId)).toEqual(Array.from({ length: 500 }, (_, index) => index + 1))
    })

    test('loses none but the bad one of its items', async () => {
      const store = await start()
      const bad = ticketOf({ externalId: 'bad' })
      Object.assign(bad.kind === 'ticket' ? bad.draft : {}, { description: { not: 'text' } })
      const results = await Promise.allSettled([
        submitTicket(store),
        store.submit(bad),
        submitTicket(store),
        submitTicket(store),
      ])
      expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
      expect(await count(store)).toBe(3)
      expect(await store.deliveries({ limit: 10 })).toHaveLength(3)
      expect(await subject.audit()).toEqual({ jobs: 3, orphans: 0, sound: true })
    })

    test('refuses what its queue has no room for, and stores all that it took', async () => {
      const store = await start({ maxQueued: 5 })
      const results = await Promise.allSettled(Array.from({ length: 20 }, () => submitTicket(store)))
      const refused = results.filter(({ status }) => status === 'rejected')
      expect(refused.length).toBeGreaterThan(0)
      for (const result of refused) expect(result).toMatchObject({ reason: { code: 'unavailable' } })
      expect(await count(store)).toBe(20 - refused.length)
    })
  })

  describe('API keys', () => {
    const key = (id: string, over: Partial<ApiKey> = {}): ApiKey => ({
      id,
      hash: hash('sha256', id),
      name: 'a sender',
      scopes: ['intake', 'read'],
      rate: null,
      createdAt: 1000,
      expiresAt: null,
      revokedAt: null,
      lastUsedAt: null,
      ...over,
    })

    test('are kept as they were made, oldest first, also after the store was opened again', async () => {
      const { keyStore } = await start()
      const made = [key('tf_1'), key('tf_2', { createdAt: 2000, expiresAt: 9000, scopes: ['admin'], rate: 60 })]
      for (const one of made.toReversed()) await keyStore.addKey(one)
      expect(await keyStore.keys()).toEqual(made)
      expect(await (await subject.reopen()).keyStore.keys()).toEqual(made)
    })

    test('are revoked once, and stay in the list', async () => {
      const { keyStore } = await start()
      await keyStore.addKey(key('tf_1'))
      expect(await keyStore.revokeKey('tf_1', 5000)).toBe(true)
      expect(await keyStore.revokeKey('tf_1', 6000)).toBe(false)
      expect(await keyStore.revokeKey('tf_none', 6000)).toBe(false)
      expect(await keyStore.keys()).toEqual([key('tf_1', { revokedAt: 5000 })])
    })

    test('tell when they were last used', async () => {
      const { keyStore } = await start()
      await keyStore.addKey(key('tf_1'))
      await keyStore.noteUse(new Map([['tf_1', 7000]]))
      expect(await keyStore.keys()).toEqual([key('tf_1', { lastUsedAt: 7000 })])
    })

    test('of the same hash are one: a second is refused, and the first stays', async () => {
      const { keyStore } = await start()
      await keyStore.addKey(key('tf_1'))
      await expect(keyStore.addKey(key('tf_2', { hash: hash('sha256', 'tf_1') }))).rejects.toThrow()
      expect(await keyStore.keys()).toEqual([key('tf_1')])
    })

    test('that change tell whoever listens, until that is enough', async () => {
      const { keyStore } = await start()
      let told = 0
      const stop = keyStore.onKeysChanged(() => (told += 1))
      await keyStore.addKey(key('tf_1'))
      await keyStore.revokeKey('tf_1', 5000)
      expect(told).toBe(2)
      stop()
      await keyStore.addKey(key('tf_2'))
      expect(told).toBe(2)
    })
  })

  describe('sessions', () => {
    const session = (name: string, over: Partial<StoredSession> = {}): StoredSession => ({
      hash: hash('sha256', name),
      keyId: 'tf_1',
      bond: hash('sha256', `bond of ${name}`),
      createdAt: 1000,
      seenAt: 1000,
      expiresAt: 9000,
      ...over,
    })
    const hashes = (...names: string[]) => names.map((name) => hash('sha256', name))

    test('are found by their hash, also after the store was opened again, until they are ended', async () => {
      const { sessionStore } = await start()
      await sessionStore.addSession(session('a'), 10)
      await sessionStore.addSession(session('b', { keyId: 'environment' }), 10)
      const { sessionStore: again } = await subject.reopen()
      const [a = '', b = '', none = ''] = hashes('a', 'b', 'none')
      expect(await again.session(a)).toEqual(session('a'))
      expect(await again.session(none)).toBeNull()
      await again.endSession(a)
      await again.endSession(none)
      expect(await again.session(a)).toBeNull()
      expect(await again.session(b)).toEqual(session('b', { keyId: 'environment' }))
    })

    test('of one key are so many and no more: the oldest give way, of no other key', async () => {
      const { sessionStore } = await start()
      await sessionStore.addSession(session('other', { keyId: 'tf_2', createdAt: 1 }), 3)
      for (const [index, name] of ['a', 'b', 'c', 'd', 'e'].entries()) {
        await sessionStore.addSession(session(name, { createdAt: 1000 + index }), 3)
      }
      const left = await Promise.all(hashes('a', 'b', 'c', 'd', 'e', 'other').map((one) => sessionStore.session(one)))
      expect(left.map((one) => one !== null)).toEqual([false, false, true, true, true, true])
    })

    test('were seen when they were seen last, in whatever order that is told', async () => {
      const { sessionStore } = await start()
      const [a = '', none = ''] = hashes('a', 'none')
      await sessionStore.addSession(session('a'), 10)
      await sessionStore.noteSeen(
        new Map([
          [a, 5000],
          [none, 5000],
        ]),
      )
      await sessionStore.noteSeen(new Map([[a, 3000]]))
      await sessionStore.noteSeen(new Map())
      expect(await sessionStore.session(a)).toMatchObject({ seenAt: 5000 })
      expect(await sessionStore.session(none)).toBeNull()
    })

    test('are swept once they have expired', async () => {
      const { sessionStore } = await start()
      await sessionStore.addSession(session('a'), 10)
      await sessionStore.addSession(session('b', { expiresAt: 9001 }), 10)
      expect(await sessionStore.sweepSessions(8999)).toBe(0)
      expect(await sessionStore.sweepSessions(9000)).toBe(1)
      expect(await Promise.all(hashes('a', 'b').map((one) => sessionStore.session(one)))).toEqual([
        null,
        session('b', { expiresAt: 9001 }),
      ])
    })

    test('that end tell whoever listens, also those that gave way', async () => {
      const { sessionStore } = await start()
      let told = 0
      const stop = sessionStore.onSessionsEnded(() => (told += 1))
      await sessionStore.addSession(session('a'), 1)
      expect(told).toBe(0)
      await sessionStore.addSession(session('b', { createdAt: 2000 }), 1)
      expect(told).toBe(1)
      for (let times = 0; times < 2; times += 1) await sessionStore.endSession(session('b').hash)
      expect(told).toBe(2)
      stop()
      await sessionStore.addSession(session('c'), 1)
      await sessionStore.endSession(session('c').hash)
      expect(told).toBe(2)
    })
  })

  describe('public keys of receipts', () => {
    const key = (keyId: string, firstSeenAt: number) => ({ keyId, publicKey: `PEM of ${keyId}`, firstSeenAt })

    test('are kept from when they were first seen, newest first, also after the store was opened again', async () => {
      const { receiptKeyStore } = await start()
      await receiptKeyStore.publishReceiptKeys([key('a', 1000), key('b', 1000)])
      await receiptKeyStore.publishReceiptKeys([key('a', 5000), key('c', 2000)])
      const { receiptKeyStore: again } = await subject.reopen()
      const found = await again.receiptKeys()
      expect(found).toMatchObject([key('c', 2000), key('a', 1000), key('b', 1000)])
    })

    test('are withdrawn once, and tell of each change', async () => {
      const { receiptKeyStore } = await start()
      let told = 0
      const stop = receiptKeyStore.onReceiptKeysChanged(() => (told += 1))
      await receiptKeyStore.publishReceiptKeys([key('a', 1000)])
      await receiptKeyStore.publishReceiptKeys([key('a', 1000)])
      expect(told).toBe(1)
      expect(await receiptKeyStore.withdrawReceiptKey('a')).toBe(true)
      expect(await receiptKeyStore.withdrawReceiptKey('a')).toBe(false)
      expect(told).toBe(2)
      stop()
      expect(await receiptKeyStore.receiptKeys()).toEqual([])
    })
  })

  describe('sources', () => {
    const settings: SourceSettings = {
      name: 'Forms',
      platform: null,
      auth: 'key',
      scheme: null,
      networks: ['10.0.0.0/8'],
      rate: null,
      account: null,
      defaults: { category: 'web' },
      field_map: { title: 'a' },
      redaction: [],
    }
    const secrets = [{ id: 'sec_1', sealed: 'x', createdAt: 1, expiresAt: null }]
    const made = { id: 'forms', settings, secrets, createdAt: 1000 }
    const stored = { ...made, updatedAt: 1000, disabledAt: null, deletedAt: null }

    test('are kept as they were made, also after the store was opened again; an id is taken once', async () => {
      const { sourceStore } = await start()
      expect(await sourceStore.addSource(made)).toBe(true)
      expect(await sourceStore.addSource({ ...made, createdAt: 2000 })).toBe(false)
      expect(await sourceStore.sources()).toEqual([stored])
      expect(await (await subject.reopen()).sourceStore.sources()).toEqual([stored])
    })

    test('are changed by whoever has seen them as they are, and by nobody else', async () => {
      const { sourceStore } = await start()
      await sourceStore.addSource(made)
      const changed = { ...stored, settings: { ...settings, name: 'New' }, updatedAt: 3000, disabledAt: 3000 }
      expect(await sourceStore.updateSource(changed, 999)).toBe(false)
      expect(await sourceStore.updateSource(changed, 1000)).toBe(true)
      expect(await sourceStore.updateSource({ ...changed, updatedAt: 4000 }, 1000)).toBe(false)
      expect(await sourceStore.sources()).toEqual([changed])
    })

    test('leave their name alone when they are deleted, and give it to another', async () => {
      const { sourceStore } = await start()
      await sourceStore.addSource(made)
      expect(await sourceStore.removeSource('forms', 5000)).toBe(true)
      expect(await sourceStore.removeSource('forms', 6000)).toBe(false)
      expect(await sourceStore.sources()).toMatchObject([{ id: 'forms', secrets: [], deletedAt: 5000 }])
      expect(await sourceStore.updateSource({ ...stored, updatedAt: 6000 }, 1000)).toBe(false)
      expect(await sourceStore.addSource({ ...made, createdAt: 7000 })).toBe(true)
      expect(await sourceStore.sources()).toMatchObject([{ id: 'forms', secrets, deletedAt: null, createdAt: 7000 }])
    })

    test('tell of each change', async () => {
      const { sourceStore } = await start()
      let told = 0
      const stop = sourceStore.onSourcesChanged(() => (told += 1))
      await sourceStore.addSource(made)
      await sourceStore.removeSource('forms', 5000)
      stop()
      await sourceStore.addSource(made)
      expect(told).toBe(2)
    })
  })

  describe('rhythms', () => {
    const settings = { name: 'Forms' } as SourceSettings
    const heard = (store: Store, source: string, receivedAt: number) =>
      store.submit({ kind: 'ticket', delivery: delivery({ source, receivedAt }), draft: draft() })

    test('a source was heard when its newest delivery came that was not refused', async () => {
      const store = await start()
      await heard(store, 'forms', 1000)
      await heard(store, 'forms', 2000)
      await heard(store, 'shop', 1500)
      const refused = delivery({ source: 'forms', receivedAt: 3000 })
      await store.submit({ kind: 'refusal', delivery: refused, status: 401, reason: 'forged' })
      const found = await store.rhythmStore.lastHeard(['forms', 'shop', 'nobody'])
      expect(found).toEqual(
        new Map([
          ['forms', 2000],
          ['shop', 1500],
        ]),
      )
    })

    test('are kept as long as their source is there', async () => {
      const { sourceStore, rhythmStore } = await start()
      for (const id of ['forms', 'shop']) await sourceStore.addSource({ id, settings, secrets: [], createdAt: 1000 })
      await rhythmStore.saveRhythms(new Map(['forms', 'shop'].map((id) => [id, `{"of":"${id}"}`])))
      await rhythmStore.saveRhythms(new Map([['forms', '{"of":"again"}']]))
      const again = await subject.reopen()
      expect(Object.fromEntries(await again.rhythmStore.rhythms())).toEqual({
        forms: '{"of":"again"}',
        shop: '{"of":"shop"}',
      })
      await again.sourceStore.removeSource('shop', 5000)
      await again.rhythmStore.saveRhythms(new Map())
      expect([...(await again.rhythmStore.rhythms()).keys()]).toEqual(['forms'])
    })
  })

  describe('a replay', () => {
    const refuse = (store: Store, row: Partial<NewDelivery> = {}) =>
      store.submit({ kind: 'refusal', delivery: delivery({ source: 'forms', ...row }), status: 400, reason: 'no' })

    test('of a refused delivery makes its ticket once, however often it is played, and names its origin', async () => {
      const store = await start()
      const { deliveryId: replayOf } = await refuse(store)
      const play = (title: string) => submitTicket(store, { title }, { replayOf, source: 'forms' })
      const first = await play('first')
      expect(first.outcome).toBe('created')
      const [second, third] = await Promise.all([play('second'), play('third')])
      expect([second.outcome, third.outcome]).toEqual(['updated', 'updated'])
      expect([second.ticketId, third.ticketId]).toEqual([first.ticketId, first.ticketId])
      expect(await store.ticket(first.ticketId ?? 0)).toMatchObject({ title: 'third' })
      expect(await store.delivery(third.deliveryId)).toMatchObject({ replayOf, ticketId: first.ticketId })
      expect((await subject.audit()).jobs).toBe(1)
      expect((await verifyAudit(store)).fault).toBe(null)
    })

    test('of an accepted one changes that ticket, unless others came after it', async () => {
      const store = await start()
      const made = await submitTicket(store, { externalId: '1', title: 'one' })
      const again = (title: string) => submitTicket(store, { externalId: '1', title }, { replayOf: made.deliveryId })
      expect(await again('mapped anew')).toMatchObject({ outcome: 'updated', ticketId: made.ticketId })
      expect(await store.ticket(made.ticketId ?? 0)).toMatchObject({ title: 'mapped anew' })
      await submitTicket(store, { externalId: '1', title: 'two' })
      expect(await again('late')).toMatchObject({ outcome: 'ignored', ticketId: made.ticketId })
      expect(await store.ticket(made.ticketId ?? 0)).toMatchObject({ title: 'two' })
    })

    test('finds what is still to be played: oldest first, of one source, and not what was mended', async () => {
      const store = await start()
      const [one, two] = [(await refuse(store)).deliveryId, (await refuse(store)).deliveryId]
      const other = (await refuse(store, { source: 'other' })).deliveryId
      const ask = (over = {}) => store.replayable({ outcome: 'rejected', after: 0, limit: 10, ...over })
      expect(await ask()).toEqual([one, two, other])
      expect(await ask({ source: 'forms' })).toEqual([one, two])
      expect(await ask({ after: one, limit: 1 })).toEqual([two])
      await store.submit({ kind: 'refusal', delivery: delivery({ replayOf: one }), status: 400, reason: 'still' })
      expect(await ask()).toEqual([one, two, other])
      await submitTicket(store, {}, { replayOf: one })
      expect(await ask()).toEqual([two, other])
    })

    test('of a source, its deliveries come with their bodies, oldest first', async () => {
      const store = await start()
      for (const body of ['a', 'b', 'c']) await refuse(store, { body, bodySha256: hash('sha256', body) })
      await refuse(store, { source: 'other' })
      expect(await store.lastOf('forms', 2)).toEqual({ count: 2, after: 1 })
      expect(await store.lastOf('nobody', 2)).toEqual({ count: 0, after: 0 })
      expect((await store.wholeOf('forms', 1, 10)).map(({ id, body }) => [id, body])).toEqual([
        [2, 'b'],
        [3, 'c'],
      ])
    })
  })

  test('a remapped ticket says so, and keeps what a person set', async () => {
    const store = await start()
    const made = await submitTicket(store, { externalId: '1' })
    const ticketId = made.ticketId ?? 0
    await store.changeTicket(ticketId, { category: 'by hand' }, 'ann')
    const remap = {
      ticketId,
      fields: { title: 'new', category: 'mapped' },
      metadata: { set: { team: 'blue' }, unset: [] },
    }
    expect(await store.remap([remap, { ...remap, ticketId: 999 }], 'bob')).toBe(1)
    expect(await store.remap([remap], 'bob')).toBe(0)
    expect(await store.ticket(ticketId)).toMatchObject({
      title: 'new',
      category: 'by hand',
      metadata: '{"team":"blue"}',
    })
    expect(await store.heldTicket(ticketId)).toMatchObject({ said: { category: 'mapped' } })
    const entries = (await store.timeline(ticketId)) ?? []
    expect(entries.at(-1)).toMatchObject({ kind: 'remapped', actor: 'bob', changes: { title: { to: 'new' } } })
    expect(await store.heldTicket(999)).toBe(null)
  })

  describe('a refusal', () => {
    test('is on record with its body and makes no ticket', async () => {
      const store = await start()
      const receipt = await store.submit({
        kind: 'refusal',
        delivery: delivery({ body: 'broken' }),
        status: 400,
        reason: 'no',
      })
      expect(await store.delivery(receipt.deliveryId)).toMatchObject({
        outcome: 'rejected',
        status: 400,
        reason: 'no',
        body: 'broken',
      })
      expect(await subject.audit()).toEqual({ jobs: 0, orphans: 0, sound: true })
    })

    test('keeps bytes that are no text as they are', async () => {
      const store = await start()
      const body = new Uint8Array([0xff, 0x00, 0xfe])
      const { deliveryId } = await store.submit({
        kind: 'refusal',
        delivery: delivery({ body }),
        status: 400,
        reason: 'no',
      })
      expect((await store.delivery(deliveryId))?.body).toEqual(body)
    })
  })

  describe('a change by a person', () => {
    test('sets and clears the time of resolution, and is in the history', async () => {
      const store = await start()
      const id = (await submitTicket(store)).ticketId ?? 0
      expect((await store.changeTicket(id, { status: 'resolved' }, 'api'))?.resolvedAt).toBeTypeOf('number')
      expect((await store.changeTicket(id, { status: 'closed' }, 'api'))?.resolvedAt).toBeTypeOf('number')
      expect((await store.changeTicket(id, { status: 'open' }, 'api'))?.resolvedAt).toBeNull()
      expect((await store.timeline(id))?.map(({ actor, changes }) => [actor, changes['status']?.to])).toEqual([
        ['open', undefined],
        ['api', 'resolved'],
        ['api', 'closed'],
        ['api', 'open'],
      ])
    })

    test('that cannot be written takes nothing with it of what is written at the same time', async () => {
      const store = await start()
      const id = (await submitTicket(store)).ticketId ?? 0
      const settled = await Promise.allSettled([
        submitTicket(store),
        store.changeTicket(id, { category: null as never }, 'api'),
        store.changeTicket(id, { status: 'pending' }, 'api'),
        submitTicket(store),
      ])
      expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
      expect(await store.ticket(id)).toMatchObject({ status: 'pending', category: 'general' })
      expect(await count(store)).toBe(3)
      expect((await store.timeline(id))?.map(({ kind }) => kind)).toEqual(['created', 'updated'])
    })

    test('of a ticket that is not there is null', async () => {
      const store = await start()
      expect(await store.changeTicket(99, { status: 'open' }, 'api')).toBeNull()
      expect(await store.ticket(99)).toBeNull()
      expect(await store.timeline(99)).toBeNull()
      expect(await store.delivery(99)).toBeNull()
    })
  })

  describe('reading', () => {
    test('pages run newest first and neither skip nor repeat, while tickets keep coming', async () => {
      const store = await start()
      for (let index = 0; index < 25; index += 1) await submitTicket(store)
      const seen: number[] = []
      let before: number | undefined
      for (
        let page = await store.tickets({ limit: 10 });
        page.length > 0;
        page = await store.tickets({ limit: 10, before })
      ) {
        seen.push(...page.map(({ id }) => id))
        before = seen.at(-1)
        await submitTicket(store)
      }
      expect(seen).toEqual(Array.from({ length: 25 }, (_, index) => 25 - index))
    })

    test('filters and words find what was stored a moment ago, and each combination of them', async () => {
      const store = await start()
      await submitTicket(store, {
        title: 'Payment refused',
        category: 'billing',
        priority: 'high',
        platform: 'zendesk',
      })
      await submitTicket(store, {
        title: 'Payment late',
        category: 'billing',
        priority: 'low',
        platform: 'jira',
        userEmail: 'Ann@Shop.example',
      })
      await submitTicket(store, {
        title: 'Größe falsch',
        category: 'größe & form',
        platform: 'jira',
        externalId: 'EXT-99',
      })
      const find = async (query: object) => (await store.tickets({ limit: 10, ...query })).map(({ id }) => id)
      expect(await find({ category: 'billing' })).toEqual([2, 1])
      expect(await find({ category: 'billing', priority: 'low' })).toEqual([2])
      expect(await find({ platform: 'jira', q: 'payment' })).toEqual([2])
      expect(await find({ status: 'new', before: 3 })).toEqual([2, 1])
      expect(await find({ status: 'closed' })).toEqual([])
      expect(await find({ category: 'größe & form' })).toEqual([3])
      expect(await find({ q: 'PAYMENT refused' })).toEqual([1])
      expect(await find({ q: 'pay*' })).toEqual([2, 1])
      expect(await find({ q: 'groesse' })).toEqual([])
      expect(await find({ q: 'ann@shop.example' })).toEqual([2])
      expect(await find({ q: 'EXT-99' })).toEqual([3])
      expect(await find({ q: '"' })).toEqual([])
      expect(await find({ q: 'payment OR NOT (refused' })).toEqual([])
    })

    test('a changed ticket is found by what it is now, and not by what it was', async () => {
      const store = await start()
      const { ticketId } = await submitTicket(store, { externalId: '7', title: 'before' })
      expect(await store.tickets({ limit: 10, q: 'before' })).toHaveLength(1)
      await submitTicket(store, { externalId: '7', title: 'after' })
      await store.changeTicket(ticketId ?? 0, { status: 'open' }, 'api')
      expect(await store.tickets({ limit: 10, q: 'before' })).toHaveLength(0)
      expect(await store.tickets({ limit: 10, q: 'after', status: 'open' })).toHaveLength(1)
      expect(await store.tickets({ limit: 10, status: 'new' })).toHaveLength(0)
    })

    test('deliveries are listed by outcome', async () => {
      const store = await start()
      await submitTicket(store)
      await store.submit({ kind: 'refusal', delivery: delivery(), status: 400, reason: 'no' })
      expect(await store.deliveries({ limit: 10, outcome: 'rejected' })).toHaveLength(1)
      expect(await store.deliveries({ limit: 10, outcome: 'created' })).toHaveLength(1)
      expect(await store.deliveries({ limit: 10, before: 2 })).toMatchObject([{ id: 1 }])
    })
  })

  describe('retention', () => {
    test('forgets old deliveries, never tickets, and never hands out a number twice', async () => {
      const store = await start()
      const old = Date.now() - 10_000
      for (let index = 0; index < 3; index += 1)
        await submitTicket(store, { externalId: `${index}` }, { receivedAt: old })
      expect(await store.prune(Date.now() - 5000)).toBe(2)
      expect(await store.deliveries({ limit: 10 })).toMatchObject([{ id: 3 }])
      expect(await count(store)).toBe(3)
      const again = await subject.reopen()
      expect(await submitTicket(again)).toMatchObject({ deliveryId: 4, ticketId: 4 })
      expect((await again.timeline(1))?.[0]).toMatchObject({ kind: 'created', actor: 'unknown' })
    })
  })

  describe('the audit log is a chain', () => {
    const whole = async (store: Store, rows: number) => {
      const report = await verifyAudit(store)
      expect(report).toMatchObject({ rows, fault: null, uncovered: 0 })
      expect(report.last).toEqual(await store.checkpoint())
      return report
    }

    test('of nothing at first', async () => {
      const store = await start()
      expect(await store.checkpoint()).toBeNull()
      expect(await verifyAudit(store)).toMatchObject({ rows: 0, first: null, last: null, fault: null })
    })

    test('that grows with each kind of submission', async () => {
      const store = await start()
      const keyed = { body: 'b', idempotencyKey: 'k' }
      const submissions: Submission[] = [
        ticketOf({}, keyed),
        ticketOf({}, keyed),
        ticketOf({}, { ...keyed, body: 'another' }),
        ticketOf({ externalId: '7' }, { body: 'same' }),
        ticketOf({ externalId: '7' }, { body: 'same' }),
        ticketOf({ externalId: '7', title: 'B' }),
        ticketOf({ externalId: '7' }, { body: 'c', idempotencyKey: 'd', keyIsPlatforms: true }),
        ticketOf({ externalId: '7', title: 'C' }, { body: 'd', idempotencyKey: 'd', keyIsPlatforms: true }),
        { kind: 'batch', delivery: delivery(), items: [item(), { error: 'no' }, { ignored: 'ping' }] },
        { kind: 'batch', delivery: delivery(), items: [{ error: 'no' }] },
        { kind: 'refusal', delivery: delivery(), status: 400, reason: 'no' },
        { kind: 'refusal', delivery: { ...delivery(), body: null }, status: 401, reason: 'who?' },
        { kind: 'ignored', delivery: delivery(), reason: 'ping', answer: '{}' },
      ]
      const links: (string | null | undefined)[] = []
      for (const submission of submissions) {
        const { deliveryId } = await store.submit(submission)
        links.push((await store.delivery(deliveryId))?.link)
        expect((await whole(store, links.length)).last).toMatchObject({ deliveryId, link: links.at(-1) })
      }
      expect(new Set(links).size).toBe(submissions.length)
      const outcomes = new Set((await store.deliveries({ limit: 50 })).map(({ outcome }) => outcome))
      expect([...outcomes].toSorted()).toEqual(['created', 'duplicate', 'ignored', 'rejected', 'updated'])
    })

    test('also over a group in which one submission fails', async () => {
      const store = await start()
      const bad = ticketOf({ externalId: 'bad' })
      Object.assign(bad.kind === 'ticket' ? bad.draft : {}, { description: { not: 'text' } })
      const group = [ticketOf(), bad, ticketOf(), ticketOf({}, { idempotencyKey: 'k' })]
      const results = await Promise.allSettled(group.map((one) => store.submit(one)))
      expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1)
      await submitTicket(store)
      await whole(store, 4)
    })

    test('that the store goes on with when it is opened again, and that a later change of a ticket leaves whole', async () => {
      const store = await start()
      const { ticketId } = await submitTicket(store, { externalId: '7' })
      const before = await store.checkpoint()
      const again = await subject.reopen()
      expect(await again.checkpoint()).toEqual(before)
      await again.changeTicket(ticketId ?? 0, { status: 'closed' }, 'api')
      await submitTicket(again, { externalId: '7', title: 'B' })
      expect((await whole(again, 2)).first).toEqual(before)
    })

    test('of what retention leaves, which is always one piece', async () => {
      const store = await start()
      const old = Date.now() - 10_000
      const times = [old, old, Date.now(), old, Date.now(), Date.now()]
      const checkpoints = []
      for (const receivedAt of times) {
        await submitTicket(store, {}, { receivedAt })
        checkpoints.push((await store.checkpoint()) ?? expect.fail('no checkpoint'))
      }
      const [first, second, third] = checkpoints.map((one) => [one])
      expect(await store.prune(Date.now() - 5000)).toBe(2)
      expect(await whole(store, 4)).toMatchObject({ isPruned: true, first: third?.[0] })
      expect(await verifyAudit(store, { checkpoints })).toMatchObject({ proven: 5, fault: null })
      expect(await verifyAudit(store, { checkpoints: second ?? [] })).toMatchObject({ proven: 1, fault: null })
      expect(await verifyAudit(store, { checkpoints: first ?? [] })).toMatchObject({ fault: { kind: 'forgotten' } })
      const again = await subject.reopen()
      expect(await again.prune(Date.now() + 5000)).toBe(3)
      await submitTicket(again)
      expect(await whole(again, 2)).toMatchObject({ first: checkpoints.at(-1) })
    })

    test('over texts and bodies as a database gives them back', async () => {
      const store = await start()
      const bodies = ['', '\u{FEFF}{}', 'Größe 😀\r\n', new Uint8Array([0xff, 0x00, 0xfe]), new Uint8Array()]
      for (const body of bodies) {
        const row = { bodySha256: hash('sha256', body), headers: '{"a":"\\"\\u0000é"}', path: '/?q="\\😀' }
        await store.submit({
          kind: 'refusal',
          delivery: { ...delivery({ ...row, requestId: 'a\uD800b' }), body },
          status: 400,
          reason: 'cut \uDC00',
        })
      }
      await whole(store, bodies.length)
    })

    test('followed while it grows and retention takes its beginning', async () => {
      const store = await start()
      const old = Date.now() - 10_000
      // Few at a time, so that all are in one chain.
      for (let made = 0; made < 1200; made += 30) {
        const receivedAt = made < 990 ? old : Date.now()
        await Promise.all(Array.from({ length: 30 }, () => submitTicket(store, {}, { receivedAt })))
      }
      let pages = 0
      const report = await verifyAudit({
        ...store,
        auditPage: async (after, limit) => {
          pages += 1
          if (pages === 2) await store.prune(Date.now() - 5000)
          await submitTicket(store)
          return store.auditPage(after, limit)
        },
      })
      expect(report).toMatchObject({ rows: 710, fault: null, last: { deliveryId: 1200 } })
    })
  })

  describe('what the console asks', () => {
    test('rows by their numbers, in order, and only those that are there', async () => {
      const store = await start()
      const first = await submitTicket(store)
      const second = await submitTicket(store)
      const ids = [second, first]
      const rows = await store.rowsOf({
        deliveries: [...ids.map(({ deliveryId }) => deliveryId), 999],
        tickets: [999, ...ids.map(({ ticketId }) => ticketId ?? 0)],
      })
      expect(rows.deliveries.map(({ id }) => id)).toEqual([first.deliveryId, second.deliveryId])
      expect(rows.tickets.map(({ id }) => id)).toEqual([first.ticketId, second.ticketId])
      expect(rows.deliveries[0]).toMatchObject({ outcome: 'created', ticketId: first.ticketId })
    })

    test('what came since a time, by the hour', async () => {
      const store = await start()
      const hour = 3_600_000
      const now = Math.floor(Date.now() / hour) * hour + hour / 2
      expect(await store.activity(now - 10 * hour, 60_000)).toMatchObject({ isWhole: true })
      for (const hours of [50, 3, 3, 1, 0]) {
        await submitTicket(store, { category: 'billing' }, { receivedAt: now - hours * hour, source: 'acme' })
      }
      const refused = { ...delivery({ receivedAt: now, source: 'acme', platform: null }) }
      await store.submit({ kind: 'refusal', delivery: refused, status: 400, reason: 'no' })
      const { hours, isWhole } = await store.activity(now - 10 * hour, 60_000)
      expect(isWhole).toBe(true)
      const at = (ago: number) => hours.get(Math.floor((now - ago * hour) / hour) * hour)
      expect(at(3)?.outcomes).toEqual(new Map([['created', 2]]))
      expect(at(0)).toMatchObject({
        outcomes: new Map([
          ['created', 1],
          ['rejected', 1],
        ]),
        platforms: new Map([['flat', 1]]),
        sources: new Map([['acme', 2]]),
        refused: new Map([['acme', 1]]),
      })
      const billed = [3, 1, 0].map((ago) => at(ago)?.categories.get('billing') ?? 0)
      const tickets = billed.reduce((sum, one) => sum + one)
      expect(tickets).toBe(4)
      const before = await store.activity(now - 100 * hour, 60_000)
      const deliveries = [...before.hours.values()].reduce((sum, one) => sum + (one.outcomes.get('created') ?? 0), 0)
      expect(deliveries).toBe(5)
    })
  })

  test('a probe commits', async () => {
    const store = await start()
    await expect(store.probe()).resolves.toBeUndefined()
  })
}
