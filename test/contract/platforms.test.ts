import { describe, expect, test } from 'vitest'
import { z } from 'zod'

import { AppError } from '../../src/core/errors.ts'
import { isObject, jsonOrNull } from '../../src/core/json.ts'
import type { Platform } from '../../src/core/platform.ts'
import { PRIORITIES } from '../../src/core/priority.ts'
import type { SignedRequest } from '../../src/core/signature.ts'
import { EVENT_KINDS, STATUSES } from '../../src/core/ticket.ts'
import { parseBody } from '../../src/intake/body.ts'
import { eventsIn, incomingOf, loadPlatforms } from '../../src/intake/platforms.ts'
import type { RawRequest } from '../../src/intake/request.ts'
import { type Fixture, fixtures, folded, lowerCased, NOW } from '../fixtures.ts'

const platforms = await loadPlatforms()

const HOUR = 3_600_000

function requestOf({ headers, raw_body: body, url }: Fixture): RawRequest {
  const { pathname, search } = new URL(url)
  return {
    id: 'r',
    sourceId: null,
    url,
    receivedAt: NOW,
    address: '127.0.0.1',
    method: 'POST',
    path: pathname + search,
    headers: lowerCased(headers),
    body: Buffer.from(body),
  }
}

const signed = (fixture: Fixture): SignedRequest => requestOf(fixture)

function readAll(fixture: Fixture) {
  const request = requestOf(fixture)
  const { platform, events } = eventsIn(platforms, request, parseBody(request, request.body))
  return { platform, events: events.map((event) => platform.read(incomingOf(platforms, request, event))) }
}

describe('every platform', () => {
  test('there are platforms and fixtures to test', () => {
    expect(platforms.all.length).toBeGreaterThan(1)
    expect(fixtures.length).toBeGreaterThan(1)
  })

  test.each(platforms.all)(
    '$id is recognised by what it asks for, not by going through all that is there',
    (platform) => {
      const ownKeys = (): never => expect.unreachable('all keys of a body are listed, of which there may be 5,000')
      for (const { raw_body: body, headers } of fixtures.filter(({ raw_body: text }) => text.startsWith('{'))) {
        const payload = jsonOrNull(body)
        if (isObject(payload)) platform.recognises(new Proxy(payload, { ownKeys }), lowerCased(headers))
      }
    },
  )

  test.each(platforms.all.filter(({ id }) => id !== 'flat'))(
    '$id has a fixture, and says what it is',
    (platform: Platform) => {
      expect(fixtures.filter((fixture) => fixture.platform.replaceAll('-', '_') === platform.id)).not.toEqual([])
      expect(platform.id).toMatch(/^[a-z0-9_]+$/)
      expect(platform.label.trim()).not.toBe('')
      expect(platform.kinds).not.toEqual([])
      expect(Object.keys(platform.schemes)).not.toEqual([])
    },
  )

  test.each(
    platforms.all.flatMap(({ id, schemes }) => Object.entries(schemes).map(([name, verify]) => ({ id, name, verify }))),
  )('$id, $name: refuses what is not signed, and what is signed with nothing', ({ verify }) => {
    const bare: SignedRequest = { method: 'POST', url: 'https://a.example/', headers: {}, body: Buffer.from('{}') }
    expect(verify(bare, ['secret'], NOW)).not.toBeNull()
    expect(verify(bare, [], NOW)).not.toBeNull()
    expect(verify(bare, [''], NOW)).not.toBeNull()
  })
})

const isReadable = ({ expect: { kind } }: Fixture) => kind !== 'invalid_json'

describe.each(fixtures.filter(isReadable))('$name', (fixture) => {
  const { expect: expected } = fixture

  test('is recognised, by its own headers and shape alone', () => {
    const { platform } = readAll(fixture)
    expect(platform.id).toBe(fixture.platform.replaceAll('-', '_'))
  })

  test('is mapped', () => {
    const { platform, events } = readAll(fixture)
    const [event] = events
    const parsed = parseBody(requestOf(fixture), Buffer.from(fixture.raw_body))
    const payload = Array.isArray(parsed) ? parsed[0] : parsed
    if (expected.delivery_id) {
      const said = platform.deliveryId?.({ headers: lowerCased(fixture.headers), payload })
      expect(lowerCased(fixture.headers)['idempotency-key'] ?? said).toBe(expected.delivery_id)
    }
    if (event === undefined || !('draft' in event)) {
      expect(['ignore', 'handshake', 'batch']).toContain(expected.kind)
      return
    }
    const { draft } = event
    expect(draft.metadata).toMatchObject({ platform: expected.platform })
    for (const key of expected.metadata_has ?? []) expect(draft.metadata).toHaveProperty(key)
    if (expected.external_id) expect(draft.metadata['external_id']).toBe(expected.external_id)
    if (expected.comment) expect(draft.event?.comment).toMatchObject(expected.comment)
    if (expected.title) expect(folded(draft.title ?? draft.event?.standIn.title)).toBe(folded(expected.title))
    if (expected.priority) expect(draft.priority ?? 'medium').toBe(expected.priority)
    expect(JSON.stringify(draft)).not.toContain('[object ')
  })
})

const OTHERS: unknown[] = [
  null,
  'constructor',
  '__proto__',
  7,
  -0.5,
  true,
  '',
  'x',
  'x'.repeat(5_000),
  [],
  ['x'],
  [[]],
  [{}],
  {},
  { value: 'x' },
  { type: 'doc' },
]

/** The value once for each place in it and each thing that could stand there instead, or nothing. */
function* bent(value: unknown): Generator<unknown> {
  yield* OTHERS
  if (typeof value !== 'object' || value === null) return
  for (const key of Object.keys(value)) {
    const others = Object.entries(value).filter(([name]) => name !== key)
    if (!Array.isArray(value)) yield Object.fromEntries(others)
    for (const child of bent((value as Record<string, unknown>)[key])) {
      yield Array.isArray(value)
        ? value.map((item, index) => (String(index) === key ? child : item))
        : Object.fromEntries([...others, [key, child]])
    }
  }
}

test.each(fixtures.filter(isReadable))(
  '$name is read or refused with a reason, whatever stands in any one place of it',
  (fixture) => {
    const request = requestOf(fixture)
    const payload = parseBody(request, request.body)
    const { platform } = eventsIn(platforms, request, payload)
    const others = [...bent(payload)]
    for (const one of others) {
      for (const candidate of platforms.all) if (isObject(one)) candidate.recognises(one, {})
      for (const event of platform.events?.(one) ?? [one]) if (isObject(event)) readOrRefuse(platform, request, event)
    }
    expect(others.length).toBeGreaterThan(10)
  },
)

const KINDS = [...EVENT_KINDS, 'ignored', 'handshake']
const maybe = z.string().min(1).nullable()
const Draft = z.object({
  platform: z.string().min(1),
  account: z.string(),
  externalId: maybe,
  title: maybe,
  description: maybe,
  category: maybe,
  priority: z.enum(PRIORITIES).nullable(),
  status: z.enum(STATUSES).nullable(),
  userId: maybe,
  userEmail: maybe,
  sentUpdatedAt: z.number().nullable(),
  event: z.looseObject({ kind: z.enum(EVENT_KINDS) }),
})

function readOrRefuse(platform: Platform, request: RawRequest, event: Record<string, unknown>): void {
  try {
    const incoming = incomingOf(platforms, request, event)
    platform.deliveryId?.(incoming)
    const read = platform.read(incoming)
    expect(JSON.stringify(read)).not.toContain('[object ')
    // What a word of the sender's is looked up in must not know the words that every object knows.
    if ('draft' in read) Draft.parse(read.draft)
    expect(KINDS).toContain(read.kind)
  } catch (error) {
    if (error instanceof AppError && error.message !== '') return
    throw new Error(`on ${JSON.stringify(event).slice(0, 2_000)}`, { cause: error })
  }
}

const verified = fixtures.flatMap((fixture) => {
  const { verify: proof } = fixture
  if (proof === undefined) return []
  const verify = platforms.named(fixture.platform, {}, {}).schemes[proof.scheme]
  if (verify === undefined) throw new Error(`${fixture.name}: no scheme ${proof.scheme}`)
  return [{ name: fixture.name, fixture, proof, verify }]
})

describe.each(verified)('$name, as it was sent', ({ fixture, proof, verify }) => {
  const { scheme, secret, timed, body } = proof
  const isToken = scheme === 'token'

  test('is its sender’s, also while a secret is replaced by another', () => {
    expect(verify(signed(fixture), [secret], NOW)).toBeNull()
    expect(verify(signed(fixture), ['the new one', secret], NOW)).toBeNull()
  })

  test('is refused under another secret, an empty one, and none', () => {
    for (const secrets of [['another'], [''], [], [`${secret}x`]]) {
      expect(verify(signed(fixture), secrets, NOW)).not.toBeNull()
    }
  })

  test.runIf(!isToken && body)('is refused with one byte changed, wherever it is', () => {
    const request = signed(fixture)
    const step = Math.max(1, Math.floor(request.body.length / 40))
    for (let at = 0; at < request.body.length; at += step) {
      const changed = Buffer.from(request.body)
      changed[at] = (changed[at] ?? 0) ^ 1
      expect(verify({ ...request, body: changed }, [secret], NOW)).toBe('mismatch')
    }
    expect(verify({ ...request, body: Buffer.concat([request.body, Buffer.from(' ')]) }, [secret], NOW)).toBe(
      'mismatch',
    )
  })

  test('is refused without what signs it', () => {
    const request = signed(fixture)
    const bare = { ...request, headers: {}, body: body ? request.body : Buffer.from('subject=a&body-plain=b') }
    expect(verify(bare, [secret], NOW)).toBe('missing')
  })

  test.runIf(timed)('is refused when it is an hour old or an hour early', () => {
    expect(verify(signed(fixture), [secret], NOW + HOUR)).toBe('stale')
    expect(verify(signed(fixture), [secret], NOW - HOUR)).toBe('stale')
  })
})
