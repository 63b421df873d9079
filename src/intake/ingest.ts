import { hash } from 'node:crypto'

import { AppError, fail } from '../core/errors.ts'
import { isObject } from '../core/json.ts'
import type { StoredDraft } from '../core/merge.ts'
import type { Platform } from '../core/platform.ts'
import type { Item, NewDelivery, Receipt, Store } from '../store/store.ts'
import { authenticateOpen, idempotencyKeyOf } from './auth.ts'
import { inflateBody, parseBody } from './body.ts'
import { platformOf } from './platforms.ts'
import { deliveryOf, headerOf, type RawRequest, type Sender } from './request.ts'

const BATCH_LIMIT = 1000

export type Intake = {
  /** One ticket from one body. */
  ticket: (request: RawRequest) => Promise<Receipt>
  /** An array of tickets, each of which stands alone. */
  batch: (request: RawRequest) => Promise<Receipt>
  /** Puts a request that never reached the two above on record, with the status it was answered with. */
  refuse: (request: RawRequest, reason: string, status: number) => Promise<void>
}

/** The whole life of a delivery. Each line either narrows the value or throws one AppError, which is then on record. */
export function createIntake(deps: {
  store: Store
  platforms: readonly Platform[]
  bodyLimit: number
  statusOf: (error: unknown) => number
}): Intake {
  const { store, platforms, bodyLimit, statusOf } = deps

  async function run(
    request: RawRequest,
    submit: (request: RawRequest, delivery: NewDelivery, payload: unknown) => Promise<Receipt>,
  ) {
    let sender: Sender | null = null
    let { body } = request
    try {
      sender = authenticateOpen(request.headers) // keys, sources and limits take their place here
      const encoding = headerOf(request, 'content-encoding')
      if (encoding !== undefined) body = await inflateBody(request, encoding, bodyLimit)
      const payload = await parseBody(request, body)
      const delivery = deliveryOf(request, sender, body)
      delivery.idempotencyKey = idempotencyKeyOf(request)
      const receipt = await submit(request, delivery, payload)
      return receipt.keyReused ? refuseReuse() : receipt
    } catch (error) {
      const isRecorded = error instanceof AppError && (error.code === 'unavailable' || error.code === 'key_reused')
      if (!isRecorded) await record(deliveryOf(request, sender, body), reasonOf(error), statusOf(error))
      throw error
    }
  }

  async function submitTicket(request: RawRequest, delivery: NewDelivery, payload: unknown): Promise<Receipt> {
    if (!isObject(payload)) return fail('malformed', 'Body must be one ticket as a JSON object')
    const draft = draftOf(request, delivery, payload)
    return store.submit({ kind: 'ticket', delivery, draft })
  }

  async function submitBatch(request: RawRequest, delivery: NewDelivery, payload: unknown): Promise<Receipt> {
    if (!Array.isArray(payload)) return fail('malformed', 'Body must be a JSON array of tickets')
    if (payload.length > BATCH_LIMIT)
      return fail('malformed', `A batch has at most ${BATCH_LIMIT} tickets, not ${payload.length}`)
    const items = payload.map((item: unknown) => itemOf(request, delivery, item))
    return store.submit({ kind: 'batch', delivery, items })
  }

  function itemOf(request: RawRequest, delivery: NewDelivery, item: unknown): Item {
    try {
      if (!isObject(item)) return { error: 'Item must be one ticket as a JSON object' }
      // The prefix keeps a batch's item apart from the same text sent alone: their answers differ.
      return { draft: draftOf(request, delivery, item), fingerprint: `item:${hash('sha256', JSON.stringify(item))}` }
    } catch (error) {
      if (error instanceof AppError) return { error: error.message }
      throw error
    }
  }

  function draftOf(request: RawRequest, delivery: NewDelivery, payload: Record<string, unknown>): StoredDraft {
    const incoming = { headers: request.headers, payload }
    const platform = platformOf(platforms, incoming)
    delivery.platform = platform.id
    const draft = platform.toDraft(incoming)
    return { ...draft, metadata: JSON.stringify(draft.metadata) }
  }

  async function record(delivery: NewDelivery, reason: string, status: number): Promise<void> {
    await store.submit({ kind: 'refusal', delivery, reason, status })
  }

  return {
    ticket: (request) => run(request, submitTicket),
    batch: (request) => run(request, submitBatch),
    refuse: (request, reason, status) => record(deliveryOf(request, null, request.body), reason, status),
  }
}

const refuseReuse = () =>
  fail('key_reused', 'This Idempotency-Key was used before with another body; use a new key for a new ticket')

const reasonOf = (error: unknown) => (error instanceof AppError ? error.message : 'Internal error')
