import { hash } from 'node:crypto'

import { AppError, type ErrorCode, fail } from '../core/errors.ts'
import type { StoredDraft } from '../core/merge.ts'
import { type Incoming, nameOf, type Platform, type PlatformEvent } from '../core/platform.ts'
import type { TicketDraft } from '../core/ticket.ts'
import type { Item, NewDelivery, Receipt, Store } from '../store/store.ts'
import { idempotencyKeyOf } from './auth.ts'
import { inflateBody, parseBody } from './body.ts'
import type { Gate } from './keys.ts'
import { BATCH_LIMIT, eventsIn, incomingOf, platformOf, type Platforms } from './platforms.ts'
import { type Preview, previewOf } from './preview.ts'
import { deliveryOf, headerOf, type RawRequest, type Sender } from './request.ts'

/**
 * What is not put on record here: what the store has on record already or cannot take, and what came too often, which
 * is counted and not written, so that nobody can fill the disk with it.
 */
const UNRECORDED: ReadonlySet<ErrorCode> = new Set(['unavailable', 'key_reused', 'rate_limited'])

/** What a platform sends as its own id of a delivery, at most; a longer one is no id. */
const KEY_LIMIT = 255

export type Intake = {
  /** One body of one sender: a ticket, or whatever else that sender tells. */
  ticket: (request: RawRequest) => Promise<Receipt>
  /** An array of tickets, each of which stands alone. */
  batch: (request: RawRequest) => Promise<Receipt>
  /** What `ticket` would make of the request. Stores nothing. */
  preview: (request: RawRequest) => Promise<Preview>
  /** Puts a request that never reached the above on record, with the status it was answered with. */
  refuse: (request: RawRequest, reason: string, status: number) => Promise<void>
}

type Parsed = { request: RawRequest; sender: Sender; body: Buffer; payload: unknown }

/** The whole life of a delivery. Each line either narrows the value or throws one AppError, which is then on record. */
export function createIntake(deps: {
  store: Store
  platforms: Platforms
  gate: Gate
  bodyLimit: number
  statusOf: (error: unknown) => number
}): Intake {
  const { store, platforms, gate, bodyLimit, statusOf } = deps

  async function run(
    request: RawRequest,
    submit: (delivery: NewDelivery, parsed: Parsed) => Promise<Receipt>,
  ): Promise<Receipt> {
    const progress: Partial<Parsed> & { delivery?: NewDelivery } = {}
    try {
      const parsed = await parse(request, progress)
      const delivery = deliveryOf(request, parsed.sender, parsed.body)
      progress.delivery = delivery
      delivery.idempotencyKey = idempotencyKeyOf(request)
      const receipt = await submit(delivery, parsed)
      return receipt.keyReused ? refuseReuse() : receipt
    } catch (error) {
      const isRecorded = error instanceof AppError && UNRECORDED.has(error.code)
      if (!isRecorded) {
        const refused = deliveryOf(request, progress.sender ?? null, progress.body ?? request.body)
        refused.platform = progress.delivery?.platform ?? platforms.guess(request.headers)
        await record(refused, reasonOf(error), statusOf(error))
      }
      throw error
    }
  }

  /** `progress` holds what is known already when this throws. */
  async function parse(request: RawRequest, progress: Partial<Parsed> = {}): Promise<Parsed> {
    const sender = gate.authenticate(request, 'intake') // sources take their place here
    progress.sender = sender
    const encoding = headerOf(request, 'content-encoding')
    const body = encoding === undefined ? request.body : await inflateBody(request, encoding, bodyLimit)
    progress.body = body
    return { request, sender, body, payload: parseBody(request, body) }
  }

  async function submitOne(delivery: NewDelivery, parsed: Parsed): Promise<Receipt> {
    const { request, payload } = parsed
    const { platform, events } = eventsIn(platforms, request, payload)
    delivery.platform = nameOf(platform)
    if (events.length !== 1)
      return submitItems(delivery, events, (event) => platform.read(incomingOf(platforms, request, event)))
    const incoming = incomingOf(platforms, request, events[0])
    if (delivery.idempotencyKey === null) takeKeyOf(platform, delivery, incoming)
    const event = platform.read(incoming)
    if ('draft' in event) {
      const receipt = await store.submit({ kind: 'ticket', delivery, draft: storedDraft(event.draft) })
      if (platform.answer === undefined || receipt.ticketId === null) return receipt
      return { ...receipt, answer: platform.answer(incoming, receipt.answer) }
    }
    const reason = event.kind === 'ignored' ? event.reason : 'handshake'
    const answer = event.kind === 'ignored' ? { status: 'ignored', reason } : event.answer
    return store.submit({ kind: 'ignored', delivery, reason, answer: JSON.stringify(answer) })
  }

  async function submitBatch(delivery: NewDelivery, parsed: Parsed): Promise<Receipt> {
    const { request, payload } = parsed
    if (!Array.isArray(payload)) return fail('malformed', 'Body must be a JSON array of tickets')
    if (payload.length > BATCH_LIMIT)
      return fail('malformed', `A batch has at most ${BATCH_LIMIT} tickets, not ${payload.length}`)
    return submitItems(delivery, payload, (item) => {
      const platform = platformOf(platforms, request, item)
      delivery.platform = nameOf(platform)
      return platform.read(incomingOf(platforms, request, item))
    })
  }

  async function submitItems(
    delivery: NewDelivery,
    items: readonly unknown[],
    readItem: (item: unknown) => PlatformEvent,
  ): Promise<Receipt> {
    return store.submit({ kind: 'batch', delivery, items: items.map((item) => itemOf(item, readItem)) })
  }

  async function preview(request: RawRequest): Promise<Preview> {
    const { payload } = await parse(request)
    return previewOf(platforms, request, payload)
  }

  async function record(delivery: NewDelivery, reason: string, status: number): Promise<void> {
    await store.submit({ kind: 'refusal', delivery, reason, status })
  }

  return {
    ticket: (request) => run(request, submitOne),
    batch: (request) => run(request, submitBatch),
    preview,
    refuse: (request, reason, status) => record(deliveryOf(request, null, request.body), reason, status),
  }
}

function itemOf(item: unknown, readItem: (item: unknown) => PlatformEvent): Item {
  try {
    const event = readItem(item)
    if (event.kind === 'ignored') return { ignored: event.reason }
    if (event.kind === 'handshake') return { ignored: 'ping' }
    // The prefix keeps a batch's item apart from the same text sent alone: their answers differ.
    return { draft: storedDraft(event.draft), fingerprint: `item:${hash('sha256', JSON.stringify(item))}` }
  } catch (error) {
    if (error instanceof AppError) return { error: error.message }
    throw error
  }
}

/** The sender's own id of the delivery. It names a retry, but does not forbid a retry to say more than the first. */
function takeKeyOf(platform: Platform, delivery: NewDelivery, incoming: Incoming): void {
  const key = platform.deliveryId?.(incoming) ?? null
  if (key === null || key === '' || key.length > KEY_LIMIT) return
  delivery.idempotencyKey = key
  delivery.keyIsPlatforms = true
}

const storedDraft = (draft: TicketDraft): StoredDraft => ({ ...draft, metadata: JSON.stringify(draft.metadata) })

const refuseReuse = () =>
  fail('key_reused', 'This Idempotency-Key was used before with another body; use a new key for a new ticket')

const reasonOf = (error: unknown) => (error instanceof AppError ? error.message : 'Internal error')
