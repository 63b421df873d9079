import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { z } from 'zod'

const text = z.string().nullish()

const Comment = z.looseObject({
  id: text,
  body: text,
  public: z.boolean().nullish(),
  by_staff: z.boolean().nullish(),
  author_id: text,
})

/** What a request has to come to. What is left out is not looked at. */
const Expected = z.object({
  kind: z.enum([
    'ticket.created',
    'ticket.updated',
    'ticket.commented',
    'ticket.solved',
    'ticket.reopened',
    'ticket.deleted',
    'batch',
    'handshake',
    'ignore',
    'invalid_json',
  ]),
  /** What `ticket_metadata.platform` says. */
  platform: z.string(),
  external_id: text,
  title: text,
  description: text,
  priority: text,
  category: text,
  user_email: text,
  user_id: text,
  delivery_id: text,
  /** The status of the ticket here. */
  ticket_status: text,
  reason: text,
  response: z.unknown().optional(),
  comment: Comment.optional(),
  metadata_has: z.array(z.string()).optional(),
  events: z.array(z.looseObject({ external_id: text, title: text, description: text, priority: text })).optional(),
})
export type Expected = z.infer<typeof Expected>

const Request = z.object({
  description: z.string(),
  headers: z.record(z.string(), z.string()),
  raw_body: z.string(),
  expect: Expected,
})

/** A recorded request of one platform, and what proves that it is that sender's. */
const Fixture = Request.extend({
  /** The platform's id, which is the name of its file. */
  platform: z.string(),
  url: z.string().default('https://tickets.example.com/api/integrations/webhook'),
  verify: z
    .object({
      /** One of the platform's schemes. */
      scheme: z.string(),
      secret: z.string(),
      /** Whether the signature is bound to a time. */
      timed: z.boolean().default(false),
      /** Whether the signature covers the whole body. */
      body: z.boolean().default(true),
    })
    .optional(),
})
export type Fixture = z.infer<typeof Fixture> & { name: string }
export type RecordedRequest = z.infer<typeof Request> & { name: string }

/** The clock of every fixture. */
export const NOW = Date.parse('2026-11-20T09:15:00Z')

const FOLDER = join(import.meta.dirname, 'fixtures/platforms')
const names = (folder: string) => readdirSync(folder).filter((name) => name.endsWith('.json'))
const read = (folder: string, name: string): unknown => JSON.parse(readFileSync(join(folder, name), 'utf8'))

export const fixtures: Fixture[] = names(FOLDER).map((name) =>
  Object.assign(Fixture.parse(read(FOLDER, name)), { name: name.replace('.json', '') }),
)

/** The fixture of this name; throws where there is none. */
export function recorded(name: string): Fixture {
  const fixture = fixtures.find((one) => one.name === name)
  if (fixture === undefined) throw new Error(`no fixture ${name}`)
  return fixture
}

/** Requests recorded elsewhere, in the same form but for how they are verified. */
export const requestsIn = (folder: string): RecordedRequest[] =>
  names(folder).map((name) => Object.assign(Request.parse(read(folder, name)), { name: name.replace('.json', '') }))

export const lowerCased = (headers: Record<string, string>) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))

/** Text as two readers would call it the same: runs of white space count as one. */
export const folded = (said: unknown) => (typeof said === 'string' ? said.replace(/\s+/g, ' ').trim() : said)
