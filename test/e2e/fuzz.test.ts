import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'

import { PRIORITIES } from '../../src/core/priority.ts'
import { fixtures, lowerCased } from '../fixtures.ts'
import {
  discard,
  endsWithCleanPrototypes,
  get,
  post,
  startTestServer,
  type TestServer,
  WATCHING_PROTOTYPES,
} from '../server.ts'

// The same bodies each time; FUZZ_SEED and FUZZ_RUNS look further. fast-check prints the seed of what fails.
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_123)
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 60)
/** Bodies posted at once: one run. */
const AT_ONCE = 16
const FORM = 'application/x-www-form-urlencoded'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer(WATCHING_PROTOTYPES)
})
afterAll(() => discard(server))

const text = z.string().min(1)
const Ticket = z.strictObject({
  id: z.int().positive(),
  title: text.max(500),
  description: text,
  category: text,
  priority: z.enum(PRIORITIES),
  status: z.literal('new'),
  user_id: text.nullable(),
  user_email: text.nullable(),
  ticket_metadata: z.record(z.string(), z.unknown()),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
  resolved_at: z.null(),
})
const Batch = z.strictObject({
  created_count: z.int(),
  failed_count: z.int(),
  created_tickets: z.array(z.strictObject({ index: z.int(), ticket_id: z.int(), title: text })),
  failed_tickets: z.array(z.strictObject({ index: z.int(), error: text })),
})
const Refusal = z.strictObject({
  detail: text,
  errors: z
    .array(z.strictObject({ field: text, message: text }))
    .min(2)
    .optional(),
})

type Body = { body: string; type: string; path?: string; headers?: Record<string, string> }
type Answer = Awaited<ReturnType<typeof post>>

const send = ({ body, type, path = '', headers = {} }: Body) =>
  post(server.webhook + path, body, { 'content-type': type, ...headers })
const json = (value: unknown): Body => ({ body: JSON.stringify(value) ?? 'null', type: 'application/json' })

/** Posts them all at once, and sees that no answer is a fault and that no more tickets came of it than were answered. */
async function sendAll(bodies: Body[], check: (answer: Answer, body: Body) => void): Promise<void> {
  const before = await newest()
  const answers = await Promise.all(bodies.map(send))
  answers.forEach((answer, index) => {
    const body = bodies[index] ?? json(null)
    try {
      expect(answer.text).not.toContain('[object ')
      expect(answer.status).toSatisfy((status: number) => status === 200 || (status >= 400 && status < 500))
      if (answer.status !== 200) Refusal.parse(answer.json)
      check(answer, body)
    } catch (cause) {
      throw new Error(`${answer.status} ${answer.text.slice(0, 500)}\nto ${body.type} ${body.body.slice(0, 2_000)}`, {
        cause,
      })
    }
  })
  const made = answers.reduce(
    (sum, { json: said }) => sum + (said?.created_count ?? (said === null || 'id' in said ? 1 : 0)),
    0,
  )
  expect((await newest()) - before).toBeLessThanOrEqual(made)
}

/** The highest ticket id there is: ids are given one after another. */
const newest = async (): Promise<number> => (await get(`${server.url}/api/tickets?limit=1`)).json.tickets[0]?.id ?? 0

const many = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(arbitrary, { minLength: AT_ONCE, maxLength: AT_ONCE })
const check = <T>(arbitrary: fc.Arbitrary<T>, property: (value: T) => Promise<void>) =>
  fc.assert(fc.asyncProperty(arbitrary, property), {
    seed: SEED,
    numRuns: RUNS,
    interruptAfterTimeLimit: 20_000,
    markInterruptAsFailure: true,
  })

/** Strings with all that Unicode has, and half of it. */
const strings = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.string().map((part) => part.repeat(200)),
  fc.constantFrom('', ' ', '\0', '\ud800', '__proto__', '[object Object]'.slice(0, 7), '1e999', 'a@b.c'),
)
const values = fc.oneof(
  fc.jsonValue({ stringUnit: 'binary', maxDepth: 4 }),
  strings,
  fc.constantFrom<unknown>(null, true, -0, 1e308, 2 ** 53, [], {}, [[]], { a: {} }),
  fc.integer({ min: 1, max: 100 }).map(nested),
)

function nested(depth: number): unknown {
  let value: unknown = 'x'
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { a: value }
  return value
}

const FIELDS = [
  'title',
  'subject',
  'description',
  'body',
  'category',
  'priority',
  'customer_email',
  'user_email',
  'user_id',
  'id',
  'platform',
  'updated_at',
  'metadata',
]
const names = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...FIELDS) }, { weight: 1, arbitrary: strings })
const good = {
  title: 't',
  description: 'd',
  category: 'billing',
  priority: 'high',
  customer_email: 'a@b.example',
  user_id: 'u',
  platform: 'fuzz',
  metadata: { a: { b: [1] } },
}
const flat = fc
  .dictionary(names, values, { maxKeys: 8 })
  .map((change) => Object.fromEntries([...Object.entries(good), ...Object.entries(change)]))
const bare = fc.dictionary(names, values, { maxKeys: 8 })

const encodeAll = (pairs: [string, string][]) => new URLSearchParams(pairs).toString()
const encode = (pairs: [string, string][]) => encodeAll([['title', 't'], ['body', 'b'], ...pairs])

function isTicketOrRefusal(answer: Answer): void {
  if (answer.status === 200 && answer.json.status !== 'new') throw new Error('not a ticket')
  if (answer.status === 200) Ticket.parse(answer.json)
}

describe('whatever is posted is answered with a ticket or with a reason', () => {
  test('any JSON', () =>
    check(many(fc.oneof(fc.jsonValue({ stringUnit: 'binary' }), values)), (all) =>
      sendAll(all.map(json), isTicketOrRefusal),
    ))

  test('any text called JSON', () =>
    check(
      many(
        fc.oneof(
          fc.json(),
          strings,
          fc.json().map((one) => one.slice(1)),
          fc.json().map((one) => one + one),
        ),
      ),
      (all) =>
        sendAll(
          all.map((body) => ({ body: body.toWellFormed(), type: 'application/json' })),
          isTicketOrRefusal,
        ),
    ))

  test('a ticket with anything in its fields', () =>
    check(many(fc.oneof(flat, bare)), (all) => sendAll(all.map(json), isTicketOrRefusal)))

  test('a form with anything in its fields', () => {
    const keys = fc.oneof(
      names,
      fc.tuple(names, strings, strings).map(([name, a, b]) => `${name}[${a}][${b}]`),
    )
    const fields = fc.array(
      fc.tuple(
        keys,
        strings.map((one) => one.toWellFormed()),
      ),
      { maxLength: 8 },
    )
    const bodies = fc.oneof(
      fields.map(encode),
      strings,
      fc.json().map((payload) => encode([['payload', payload]])),
    )
    return check(many(bodies), (all) =>
      sendAll(
        all.map((body) => ({ body: body.toWellFormed(), type: FORM })),
        isTicketOrRefusal,
      ),
    )
  })

  test('a batch of anything', () =>
    check(many(fc.array(fc.oneof(flat, values), { maxLength: 5 })), (all) =>
      sendAll(
        all.map((items) => ({ ...json(items), path: '/batch' })),
        ({ status, json: said }, { body }) => {
          if (status !== 200) return
          const { created_count: created, failed_count: failed, ...lists } = Batch.parse(said)
          expect(created + failed).toBe(JSON.parse(body).length)
          expect([lists.created_tickets.length, lists.failed_tickets.length]).toStrictEqual([created, failed])
        },
      ),
    ))
})

test('one external id is one ticket, whatever else its deliveries say and however many come at once', () =>
  check(fc.tuple(fc.uuid(), many(flat)), async ([id, all]) => {
    const answered = new Set<number>()
    const bodies = all.map((ticket) => json({ ...ticket, id, platform: 'fuzz' }))
    await sendAll(bodies, ({ status, json: said }) => status === 200 && answered.add(said.id))
    expect(answered.size).toBeLessThanOrEqual(1)
  }))

/** The value with what lies at `at` (a number for each choice on the way down) put through `change`. */
function bend(value: unknown, at: number[], change: (found: unknown) => unknown): unknown {
  const [step, ...rest] = at
  if (step === undefined || typeof value !== 'object' || value === null) return change(value)
  const keys = Object.keys(value)
  const key = keys[step % Math.max(1, keys.length)]
  if (key === undefined) return change(value)
  const bent = Object.entries(value).map(([name, child]) => [name, name === key ? bend(child, rest, change) : child])
  return Array.isArray(value) ? bent.map(([, child]) => child) : Object.fromEntries(bent)
}

describe('what real senders send, bent in one place', () => {
  const changes = fc.oneof(
    fc.constant(() => undefined), // the field is missing
    values.map((value) => () => value),
    fc.constant((found: unknown) => [found]),
    fc.constant((found: unknown) => ({ value: found })),
    fc.constant((found: unknown) => (typeof found === 'string' ? found.repeat(1_000) : String(typeof found))),
  )
  type Recorded = (typeof fixtures)[number]

  function bent({ raw_body: body, headers }: Recorded, at: number[], change: (found: unknown) => unknown, cut: number) {
    const type = headers['Content-Type'] ?? ''
    try {
      return JSON.stringify(bend(JSON.parse(body), at, change)) ?? ''
    } catch {
      // A form, a multipart form, or broken by its template.
      if (!type.includes('urlencoded')) return body.slice(0, cut)
    }
    const fields = [...new URLSearchParams(body)]
    const [name, value] = fields[cut % Math.max(1, fields.length)] ?? ['', '']
    const inner = /^[{[]/.test(value) ? JSON.parse(value) : value
    const other = JSON.stringify(bend(inner, at, change)) ?? ''
    return encodeAll(fields.map(([key, said]): [string, string] => [key, key === name ? other : said]))
  }

  const requests = fc
    .tuple(fc.constantFrom(...fixtures), fc.array(fc.nat(50), { maxLength: 6 }), changes, fc.nat(4_000))
    .map(([fixture, at, change, cut]) => ({
      body: bent(fixture, at, change, cut),
      type: fixture.headers['Content-Type'] ?? '',
      headers: lowerCased(fixture.headers),
    }))

  test('is answered with a ticket, an ignore or a reason, and makes no second ticket when it comes again', () =>
    check(many(requests), async (all) => {
      let anonymous = 0
      await sendAll(all, () => {})
      const before = await newest()
      await sendAll(all, ({ json: said }) => {
        if (said?.id !== undefined && said.ticket_metadata.external_id === undefined) anonymous += 1
        anonymous += said?.created_tickets?.length ?? 0
      })
      expect((await newest()) - before).toBeLessThanOrEqual(anonymous)
    }))
})

test('after all of it the prototypes that all objects share are as they were', async () => {
  expect(await endsWithCleanPrototypes(server)).toBe(true)
})
