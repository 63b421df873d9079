import { z } from 'zod'

import { SCOPES } from '../core/key.ts'
import { PRIORITIES } from '../core/priority.ts'
import { SourceSettings } from '../core/source.ts'
import { EVENT_KINDS, OWN_KINDS, STATUSES } from '../core/ticket.ts'
import { OUTCOMES } from '../store/store.ts'

const timestamp = z.iso.datetime()
const text = z.union([z.string(), z.number(), z.boolean()]).optional()

/** The specification's flat form. Anything else that a body holds is kept under `ticket_metadata.unmapped`. */
export const FlatTicket = z
  .looseObject({
    title: text.describe('Required, or `subject`; cut at 500 characters, whole in `ticket_metadata.full_title`'),
    subject: text,
    description: text.describe('Required, or `body`'),
    body: text,
    category: text.describe('Lower-cased; `general` when absent'),
    priority: text.describe('low, medium, high, urgent or a common synonym; anything else counts as medium'),
    customer_email: text,
    user_email: text,
    user_id: text,
    id: text.describe('Your id of the ticket: sending it again updates the ticket instead of making another'),
    platform: text,
    updated_at: text.describe('When you last changed the ticket: an older one never overwrites a newer'),
    metadata: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({ id: 'FlatTicket' })

export const Ticket = z
  .object({
    id: z.int(),
    title: z.string(),
    description: z.string(),
    category: z.string(),
    priority: z.enum(PRIORITIES),
    status: z.enum(STATUSES),
    user_id: z.string().nullable(),
    user_email: z.string().nullable(),
    ticket_metadata: z.record(z.string(), z.unknown()),
    created_at: timestamp,
    updated_at: timestamp,
    resolved_at: timestamp.nullable(),
  })
  .meta({ id: 'Ticket' })

/** As a list has it: with what came later, where it did. The answer to a delivery stays as it is specified. */
const ListedTicket = Ticket.extend({
  merged_into: z
    .int()
    .optional()
    .describe('The ticket that stands for this one, which is closed as long as that is so'),
}).meta({ id: 'ListedTicket' })

/** As it is shown alone. Lists leave out what it takes a question a ticket to know. */
export const WholeTicket = ListedTicket.extend({
  merged: z.array(z.int()).optional().describe('The tickets that this one stands for'),
}).meta({ id: 'WholeTicket' })

export const TicketPage = z
  .object({ tickets: z.array(ListedTicket), next: z.string().nullable() })
  .meta({ id: 'TicketPage' })

const Comment = z
  .object({
    id: z.string().nullable(),
    body: z.string(),
    public: z.boolean().describe('False for a note that the customer must not see'),
    author: z.string().nullable(),
    author_id: z.string().nullable(),
    by_staff: z.boolean().nullable(),
  })
  .meta({ id: 'Comment' })

export const TimelineEntry = z
  .object({
    kind: z.enum([...EVENT_KINDS, ...OWN_KINDS]),
    at: timestamp,
    actor: z.string(),
    delivery_id: z.int().nullable(),
    changes: z.record(z.string(), z.object({ from: z.unknown(), to: z.unknown() })),
    comment: Comment.nullable(),
  })
  .meta({ id: 'TimelineEntry' })

export const BatchResult = z
  .object({
    created_count: z.int(),
    failed_count: z.int(),
    created_tickets: z.array(z.object({ index: z.int(), ticket_id: z.int(), title: z.string() })),
    failed_tickets: z.array(z.object({ index: z.int(), error: z.string() })),
  })
  .meta({ id: 'BatchResult' })

export const Delivery = z
  .object({
    id: z.int(),
    received_at: timestamp,
    source: z.string(),
    address: z.string(),
    method: z.string(),
    path: z.string(),
    headers: z.record(z.string(), z.unknown()),
    body_size: z.int(),
    body_sha256: z.string(),
    request_id: z.string(),
    platform: z.string().nullable(),
    idempotency_key: z.string().nullable(),
    outcome: z.enum(OUTCOMES),
    status: z.int(),
    reason: z.string().nullable(),
    ticket_id: z.int().nullable(),
    duration_ms: z.number().describe('From receipt to the moment before the commit'),
    replay_of: z.int().nullable().describe('The delivery that this one plays again'),
  })
  .meta({ id: 'Delivery' })

export const DeliveryWithBody = Delivery.extend({
  body: z.string().nullable().describe('As it was received; null when it was not kept'),
  body_encoding: z.enum(['utf8', 'base64']),
  link: z.string().nullable().describe('Of the audit log’s chain; null when it is older than that'),
}).meta({ id: 'DeliveryWithBody' })

export const Checkpoint = z
  .object({
    delivery_id: z.int(),
    received_at: timestamp,
    link: z.string().describe('SHA-256, hex'),
    node: z.string().optional().describe('Whose chain it is of, where several servers write to one database'),
  })
  .meta({ id: 'Checkpoint' })

export const Checkpoints = Checkpoint.extend({
  others: z.array(Checkpoint).optional().describe('Of the other chains, where there are several'),
}).meta({ id: 'Checkpoints' })

export const DeliveryPage = z
  .object({ deliveries: z.array(Delivery), next: z.string().nullable() })
  .meta({ id: 'DeliveryPage' })

const Refusal = z
  .object({
    detail: z.string(),
    errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'Refusal' })

export const Errors = { '4xx': Refusal, '5xx': Refusal }

export const Id = z.object({ id: z.coerce.number<string>().int().min(1).max(Number.MAX_SAFE_INTEGER) })

/** A search in a list. */
export const words = z
  .string()
  .max(500)
  .transform((q) => q.trim() || undefined)
  .optional()
  .describe('Words that all occur; `word*` for a prefix')

const cursor = z
  .string()
  .regex(/^\d{1,15}$/, 'is not a cursor; take it from `next` of the page before')
  .transform(Number)
  .optional()

export const page = {
  limit: z.coerce.number<string>().int().min(1).max(200).default(50),
  cursor,
}

const kinds = z.enum([...EVENT_KINDS, 'ignored', 'handshake'])

export const PlatformList = z
  .object({
    platforms: z.array(
      z.object({
        id: z.string().describe('For `?platform=`'),
        name: z.string().describe('What `ticket_metadata.platform` says'),
        label: z.string(),
        events: z.array(kinds),
        verification: z.array(z.string()).describe('How its deliveries can be verified; the first is the usual way'),
        recognised_by_headers: z.array(z.string()).describe('Any of them says who it is; else the body’s shape does'),
        priorities: z.record(z.string(), z.enum(PRIORITIES).nullable()).describe('Its own words and digits'),
      }),
    ),
  })
  .meta({ id: 'PlatformList' })

const EventPreview = z.object({
  kind: kinds,
  delivery_id: z.string().nullable().describe('The sender’s own id of the delivery: the same when it is sent again'),
  reason: z.string().nullable().describe('Why it makes no ticket'),
  answer: z.unknown().describe('What a handshake is answered with'),
  ticket: Ticket.omit({ id: true, created_at: true, updated_at: true, resolved_at: true }).nullable(),
  comment: Comment.nullable(),
  unmapped: z.array(z.string()).describe('What the ticket has no field for; kept in `ticket_metadata.unmapped`'),
  warnings: z.array(z.string()),
})

const whose = { platform: z.string(), label: z.string() }

export const Preview = z
  .union([EventPreview.extend(whose), z.object({ ...whose, kind: z.literal('batch'), events: z.array(EventPreview) })])
  .meta({ id: 'Preview' })

const scopes = z
  .array(z.enum(SCOPES))
  .min(1)
  .describe('intake: send tickets; read; write: change tickets and articles; admin: all of it, and keys')

export const Key = z
  .object({
    id: z.string().describe('How the key begins'),
    name: z.string(),
    scopes,
    rate: z.int().nullable().describe('Requests a minute; null is what is set for all keys'),
    created_at: timestamp,
    expires_at: timestamp.nullable(),
    revoked_at: timestamp.nullable(),
    last_used_at: timestamp.nullable().describe('To about ten seconds'),
  })
  .meta({ id: 'Key' })

export const NewKey = z
  .strictObject({
    name: z.string().trim().min(1).max(100).describe('Whose it is'),
    scopes: scopes.default(['intake']),
    rate: z.int().min(1).max(10_000_000).optional().describe('Requests a minute'),
    expires_at: timestamp.optional(),
  })
  .meta({ id: 'NewKey' })

const secrets = z.array(z.object({ id: z.string(), created_at: timestamp, expires_at: timestamp.nullable() }))

export const ShownSource = SourceSettings.extend({
  id: z.string(),
  secrets: secrets.describe('When each was made and stops to count; never what it is'),
  url: z.string().describe('Where it sends'),
  created_at: timestamp,
  updated_at: timestamp,
  disabled_at: timestamp.nullable(),
}).meta({ id: 'Source' })

/** With when it was heard, which is known of where the server runs and not of the source itself. */
export const HeardSource = ShownSource.extend({
  last_seen: timestamp.nullable().describe('When its newest delivery came that was not refused'),
  usual_gap: z
    .number()
    .nullable()
    .describe('The longest it is usually quiet at this hour of the week, in seconds; null while it is learnt'),
  silent_since: timestamp.nullable().describe('Since when it is quieter than it uses to be; null where it is not'),
}).meta({ id: 'HeardSource' })

export const Whose = z.object({
  platform: z.string().optional().describe('Read the body as this platform’s, instead of recognising it'),
})
