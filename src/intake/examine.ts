import { AppError, fail } from '../core/errors.ts'
import { compileFieldMap, type FieldMap } from '../core/field-map.ts'
import { isObject } from '../core/json.ts'
import type { Headers } from '../core/signature.ts'
import type { Store } from '../store/store.ts'
import { parseBody } from './body.ts'
import { readEvent } from './mapping.ts'
import { originsOf } from './origins.ts'
import { eventsIn, incomingOf, type Platforms } from './platforms.ts'
import { type Preview, previewOf, ticketOf } from './preview.ts'
import { replayedRequest } from './replay.ts'
import type { RawRequest } from './request.ts'
import type { Registered, Sources } from './sources.ts'

/** What a body is read as. `origins` says of each field of the ticket where in the payload it comes from. */
export type Examined = {
  /** As it was parsed; null when it could not be. */
  payload: unknown
  preview: Preview | null
  /** Why it would be refused; null when it would be taken. */
  refused: string | null
  origins: Record<string, string[]>
}

export type Examiner = ReturnType<typeof createExaminer>

/** Shows what would become of a body, and why. Stores nothing. */
export function createExaminer(deps: {
  store: Pick<Store, 'delivery'>
  sources: Sources
  platforms: Platforms
  bodyLimit: number
}) {
  const { store, sources, platforms, bodyLimit } = deps

  async function examine(request: RawRequest, body: Buffer, source: Registered | null): Promise<Examined> {
    const examined: Examined = { payload: null, preview: null, refused: null, origins: {} }
    try {
      const payload = parseBody(request, body)
      examined.payload = payload
      examined.preview = await previewOf(platforms, request, payload, source)
      if (isObject(payload)) examined.origins = await originsOf(payload, (changed) => read(request, changed, source))
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      examined.refused = error.message
    }
    return examined
  }

  /** The ticket that one body makes, flat; null where it makes none, or several. */
  async function read(request: RawRequest, payload: unknown, source: Registered | null) {
    const { platform, events } = eventsIn(platforms, request, payload, source?.platform)
    if (events.length !== 1) return null
    const event = await readEvent(platforms, platform, incomingOf(platforms, request, events[0]), source)
    if (!('draft' in event)) return null
    const { ticket_metadata: metadata, ...fields } = ticketOf(event.draft)
    const { unmapped: _unmapped, ...told } = metadata
    const flat = new Map([['kind', event.kind as string]])
    for (const [name, value] of Object.entries(fields)) flat.set(name, JSON.stringify(value))
    for (const [name, value] of Object.entries(told)) flat.set(`ticket_metadata.${name}`, JSON.stringify(value) ?? '')
    const comment = event.draft.event?.comment?.body
    if (comment !== undefined) flat.set('comment', comment)
    return flat
  }

  /** A delivery that is on record. Throws `not_found`, and `conflict` where its body was not kept. */
  async function stored(id: number): Promise<{ request: RawRequest; body: Buffer; source: Registered | null }> {
    const delivery =
      (await store.delivery(id)) ?? fail('not_found', `No delivery ${id}; they are kept for a limited time`)
    const by = { address: '', requestId: '', actor: '', now: delivery.receivedAt, trustUnproved: true }
    return { ...(await replayedRequest(delivery, by, bodyLimit)), source: sources.find(delivery.source) }
  }

  /** A source with another field map. Throws `malformed`, naming each faulty expression. */
  function proposed(id: string, fieldMap: FieldMap): Registered {
    const source = sources.find(id) ?? fail('not_found', `No source ${id}`)
    return { ...source, fieldMap: Object.keys(fieldMap).length === 0 ? null : compileFieldMap(fieldMap) }
  }

  return {
    /** As things are now, which may be another ticket than it made then. */
    delivery: async (id: number): Promise<Examined> => {
      const { request, body, source } = await stored(id)
      return examine(request, body, source)
    },

    /** A delivery on record, read by a field map that is not set. */
    proposal: async (id: string, fieldMap: FieldMap, deliveryId: number): Promise<Examined> => {
      const source = proposed(id, fieldMap)
      const { request, body } = await stored(deliveryId)
      return examine(request, body, source)
    },

    /** A body of somebody's own, JSON text, read by a field map that is not set. */
    sample: async (id: string, fieldMap: FieldMap, sample: string): Promise<Examined> => {
      const body = Buffer.from(sample)
      return examine(requestOf(body, { 'content-type': 'application/json' }), body, proposed(id, fieldMap))
    },
  }
}

const requestOf = (body: Buffer, headers: Headers): RawRequest => ({
  id: '',
  sourceId: null,
  url: '',
  receivedAt: 0,
  address: '',
  method: 'POST',
  path: '/',
  headers,
  body,
})
