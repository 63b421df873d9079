import { fail } from '../core/errors.ts'
import { headerText, type Headers } from '../core/signature.ts'
import type { WholeDelivery } from '../store/store.ts'
import { inflateBody } from './body.ts'
import type { RawRequest } from './request.ts'

/** Who plays a delivery again. */
export type Replayer = {
  address: string
  requestId: string
  /** As a timeline names who did something. */
  actor: string
  now: number
  /** Whether also a delivery may be taken of which nobody proved who sent it. */
  trustUnproved: boolean
}

/** A delivery that was played again, and the delivery that this made. */
export type Replayed = { origin: number; deliveryId: number }

/** Says who played it, in the headers of the delivery that this makes. */
const REPLAYED_BY = 'ticketflow-replayed-by'

/** Answers of those who were not let in. */
const UNPROVED = new Set([401, 403, 404])

/** The request that a delivery was, as far as it is on record: secrets in its headers are gone, its body is whole. */
export async function replayedRequest(
  stored: WholeDelivery,
  { address, requestId, actor, now, trustUnproved }: Replayer,
  bodyLimit: number,
): Promise<{ request: RawRequest; body: Buffer }> {
  const { id, method, path, status } = stored
  if (stored.body === null) fail('conflict', `The body of delivery ${id} was not kept, so it cannot be played again`)
  if (UNPROVED.has(status) && !trustUnproved) {
    fail(
      'conflict',
      `Delivery ${id} was refused because nobody proved who sent it; play it again only if you know that it is genuine, and say so by "unproved": true`,
    )
  }
  const headers = { ...(JSON.parse(stored.headers) as Headers), [REPLAYED_BY]: actor } // written by maskedHeaders
  const kept = Buffer.from(stored.body)
  const request = {
    id: requestId,
    sourceId: null,
    url: '',
    receivedAt: now,
    address,
    method,
    path,
    headers,
    body: kept,
  }
  return { request, body: await inflated(request, bodyLimit) }
}

/** A body is kept inflated, unless its delivery was refused before that. */
async function inflated(request: RawRequest, bodyLimit: number): Promise<Buffer> {
  const encoding = headerText(request.headers, 'content-encoding')
  if (encoding === null) return request.body
  try {
    return await inflateBody(request, encoding, bodyLimit)
  } catch {
    return request.body
  }
}
