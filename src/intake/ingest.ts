import { hash } from 'node:crypto'

import { AppError, type ErrorCode, fail } from '../core/errors.ts'
import { storedDraft } from '../core/merge.ts'
import { type Incoming, nameOf, type Platform, type PlatformEvent } from '../core/platform.ts'
import type { Item, NewDelivery, Receipt, Store } from '../store/store.ts'
import { idempotencyKeyOf } from './auth.ts'
import { inflateBody, parseBody } from './body.ts'
import type { Gate } from './keys.ts'
import { readEvent } from './mapping.ts'
import { BATCH_LIMIT, eventsIn, incomingOf, platformOf, type Platforms } from './platforms.ts'
import { type Preview, previewOf } from './preview.ts'
import { type Replayed, replayedRequest, type Replayer } from './replay.ts'
import { deliveryOf, headerOf, isBatch, type RawRequest, type Sender } from './request.ts'
import type { Registered, Sources } from './sources.ts'

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
  /** Before the body of a request to a source is read: throws when the source is not there, or not for this address. */
  admit: (request: Pick<RawRequest, 'sourceId' | 'address'>) => void
  /** Puts a request that never reached the above on record, with the status it was answered with. */
  refuse: (request: RawRequest, reason: string, status: number) => Promise<void>
  /** Works a delivery that is on record once more, as things are now. Returns what became of it, accepted or not. */
  replay: (id: number, by: Replayer) => Promise<Replayed>
  /** Takes a body as if its source had sent and signed it; whoever asks vouches for it. */
  vouched: (request: RawRequest, sourceId: string) => Promise<Receipt>
}

type Parsed = { request: RawRequest; sender: Sender; body: Buffer; payload: unknown }

type Submit = (delivery: NewDelivery, parsed: Parsed) => Promise<Receipt>

/** The whole life of a delivery. Each line either narrows the value or throws one AppError, which is then on record. */
export function createIntake(deps: {
  store: Store
  platforms: Platforms
  gate: Gate
  sources: Sources
  bodyLimit: number
  statusOf: (error: unknown) => number
}): Intake {
  const { store, platforms, gate, sources, bodyLimit, statusOf } = deps

  async function run(request: RawRequest, submit: Submit): Promise<Receipt> {
    const progress: Partial<Parsed> & { delivery?: NewDelivery } = {}
    try {
      const parsed = await parse(request, progress)
      const delivery = deliveryOf(request, parsed.sender, parsed.body)
      progress.delivery = delivery
      delivery.idempotencyKey = keptKey(idempotencyKeyOf(request, parsed.sender), parsed.sender)
      const receipt = await submit(delivery, parsed)
      return receipt.keyReused ? refuseReuse() : receipt
    } catch (error) {
      const isRecorded = error instanceof AppError && UNRECORDED.has(error.code)
      if (!isRecorded) {
        const body = progress.body ?? request.body
        const refused = progress.sender ? deliveryOf(request, progress.sender, body) : unproved(request)
        refused.platform = progress.delivery?.platform ?? platforms.guess(request.headers)
        await record(refused, reasonOf(error), statusOf(error))
      }
      throw error
    }
  }

  /** The audit row of a request that nobody proved to be whose it says. */
  function unproved(request: RawRequest): NewDelivery {
    const source = request.sourceId === null ? null : sources.find(request.sourceId)
    if (source === null) return deliveryOf(request, null, request.body)
    const { body, receivedAt } = request
    const delivery = deliveryOf(request, { source: source.id, registered: source }, body)
    const isKept = body.length > 0 && sources.mayKeep(source.id, body.length, receivedAt)
    return isKept ? delivery : { ...delivery, body: null }
  }

  /** `progress` holds what is known already when this throws. */
  async function parse(request: RawRequest, progress: Partial<Parsed> = {}): Promise<Parsed> {
    const sender =
      request.sourceId === null ? gate.authenticate(request, 'intake') : sources.authenticate(request, gate)
    progress.sender = sender
    const encoding = headerOf(request, 'content-encoding')
    const body = encoding === undefined ? request.body : await inflateBody(request, encoding, bodyLimit)
    progress.body = body
    return { request, sender, body, payload: parseBody(request, body) }
  }

  async function submitOne(delivery: NewDelivery, parsed: Parsed): Promise<Receipt> {
    const { request, payload, sender } = parsed
    const { platform, events } = eventsIn(platforms, request, payload, sender.registered?.platform)
    delivery.platform = nameOf(platform)
    if (events.length !== 1) {
      return submitItems(delivery, events, (event) => readFor(platform, event, parsed), sender)
    }
    const incoming = incomingOf(platforms, request, events[0])
    if (delivery.idempotencyKey === null) takeKeyOf(platform, { delivery, incoming, sender })
    const { registered } = sender
    // Most senders are no source: what needs no waiting is not waited for.
    const event =
      registered === null ? platform.read(incoming) : await readEvent(platforms, platform, incoming, registered)
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
    const { request, payload, sender } = parsed
    if (!Array.isArray(payload)) return fail('malformed', 'Body must be a JSON array of tickets')
    if (payload.length > BATCH_LIMIT)
      return fail('malformed', `A batch has at most ${BATCH_LIMIT} tickets, not ${payload.length}`)
    const readItem = (item: unknown) => {
      const platform = platformOf(platforms, request, item, sender.registered?.platform)
      delivery.platform = nameOf(platform)
      return readFor(platform, item, parsed)
    }
    return submitItems(delivery, payload, readItem, sender)
  }

  const readFor = async (platform: Platform, event: unknown, { request, sender }: Parsed): Promise<PlatformEvent> =>
    readEvent(platforms, platform, incomingOf(platforms, request, event), sender.registered)

  async function submitItems(
    delivery: NewDelivery,
    items: readonly unknown[],
    readItem: (item: unknown) => Promise<PlatformEvent>,
    { registered }: Sender,
  ): Promise<Receipt> {
    const read: Item[] = []
    for (const item of items) read.push(await itemOf(item, readItem, registered))
    return store.submit({ kind: 'batch', delivery, items: read })
  }

  async function preview(request: RawRequest): Promise<Preview> {
    const { payload, sender } = await parse(request)
    return previewOf(platforms, request, payload, sender.registered)
  }

  async function replay(id: number, by: Replayer): Promise<Replayed> {
    const stored =
      (await store.delivery(id)) ?? fail('not_found', `No delivery ${id}; they are kept for a limited time`)
    const sender: Sender = { source: stored.source, registered: sources.find(stored.source) }
    const { request, body } = await replayedRequest(stored, by, bodyLimit)
    const delivery = { ...deliveryOf(request, sender, body), replayOf: stored.replayOf ?? id, address: by.address }
    try {
      const parsed = { request, sender, body, payload: parseBody(request, body) }
      delivery.idempotencyKey = keptKey(idempotencyKeyOf(request, sender), sender)
      const receipt = await (isBatch(request) ? submitBatch : submitOne)(delivery, parsed)
      return { origin: id, deliveryId: receipt.deliveryId }
    } catch (error) {
      if (!(error instanceof AppError) || UNRECORDED.has(error.code)) throw error
      delivery.platform ??= platforms.guess(request.headers)
      const refused = await record({ ...delivery, idempotencyKey: null }, error.message, statusOf(error))
      return { origin: id, deliveryId: refused.deliveryId }
    }
  }

  async function vouched(request: RawRequest, sourceId: string): Promise<Receipt> {
    const registered = sources.find(sourceId) ?? fail('not_found', `No source ${sourceId}`)
    const sender: Sender = { source: sourceId, registered }
    const delivery = deliveryOf(request, sender, request.body)
    try {
      return await submitOne(delivery, {
        request,
        sender,
        body: request.body,
        payload: parseBody(request, request.body),
      })
    } catch (error) {
      if (!(error instanceof AppError) || UNRECORDED.has(error.code)) throw error
      return record(delivery, error.message, statusOf(error))
    }
  }

  const record = (delivery: NewDelivery, reason: string, status: number): Promise<Receipt> =>
    store.submit({ kind: 'refusal', delivery, reason, status })

  return {
    ticket: (request) => run(request, submitOne),
    batch: (request) => run(request, submitBatch),
    preview,
    admit: (request) => void sources.admit(request),
    refuse: async (request, reason, status) => void (await record(unproved(request), reason, status)),
    replay,
    vouched,
  }
}

async function itemOf(
  item: unknown,
  readItem: (item: unknown) => Promise<PlatformEvent>,
  source: Registered | null,
): Promise<Item> {
  try {
    const event = await readItem(item)
    if (event.kind === 'ignored') return { ignored: event.reason }
    if (event.kind === 'handshake') return { ignored: 'ping' }
    const text = JSON.stringify(item)
    const digest = source?.redaction?.hasRaw ? source.fingerprint(text) : hash('sha256', text)
    // The prefix keeps a batch's item apart from the same text sent alone: their answers differ.
    return { draft: storedDraft(event.draft), fingerprint: `item:${digest}` }
  } catch (error) {
    if (error instanceof AppError) return { error: error.message }
    throw error
  }
}

/** The sender's own id of the delivery. It names a retry, but does not forbid a retry to say more than the first. */
function takeKeyOf(
  platform: Platform,
  { delivery, incoming, sender }: { delivery: NewDelivery; incoming: Incoming; sender: Sender },
): void {
  const key = platform.deliveryId?.(incoming) ?? null
  if (key === null || key === '' || key.length > KEY_LIMIT) return
  delivery.idempotencyKey = keptKey(key, sender)
  delivery.keyIsPlatforms = true
}

/** A key that says what may not be kept gives way to one that is as much its own. */
function keptKey(key: string | null, { registered }: Sender): string | null {
  if (key === null || !registered?.redaction?.hasRaw || registered.redaction.rawText(key) === key) return key
  return `redacted:${registered.fingerprint(key)}`
}

const refuseReuse = () =>
  fail('key_reused', 'This Idempotency-Key was used before with another body; use a new key for a new ticket')

const reasonOf = (error: unknown) => (error instanceof AppError ? error.message : 'Internal error')
