import { AppError } from '../core/errors.ts'
import { applyMapped, type Mapped } from '../core/field-map.ts'
import type { Incoming, Platform, PlatformEvent } from '../core/platform.ts'
import type { TicketDraft } from '../core/ticket.ts'
import type { Platforms } from './platforms.ts'
import type { Registered } from './sources.ts'

/** What of a source has a say in what its deliveries become. */
export type Mapping = Pick<Registered, 'id' | 'settings' | 'fieldMap' | 'redaction'>

/** One event of a sender, with all that its source says of it. Throws AppError `malformed` as the platform does. */
export async function readEvent(
  platforms: Platforms,
  platform: Platform,
  incoming: Incoming,
  mapping: Mapping | null,
): Promise<PlatformEvent> {
  if (mapping === null) return platform.read(incoming)
  const { fieldMap } = mapping
  if (fieldMap === null) return withSource(platform.read(incoming), mapping)
  const mapped = await fieldMap.evaluate(incoming.payload, incoming.headers)
  const event = readOver(platforms, platform, incoming, mapped)
  if (!('draft' in event)) return event
  return withSource({ ...event, draft: applyMapped(event.draft, mapped, platform.priorities) }, mapping)
}

/** What the platform makes of a body; where it can make nothing of it, what the map says is read as the flat form. */
function readOver(platforms: Platforms, platform: Platform, incoming: Incoming, mapped: Mapped): PlatformEvent {
  try {
    return platform.read(incoming)
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'malformed') throw error
    const flat = platforms.named('flat', incoming.headers, {})
    return flat.read({ ...incoming, payload: { ...withoutOwnNames(incoming.payload, mapped), ...asFlat(mapped) } })
  }
}

/** The flat form's names of what a map may say. */
const FLAT_NAMES = {
  title: ['title', 'subject'],
  description: ['description', 'body'],
  category: ['category'],
  priority: ['priority'],
  user_id: ['user_id'],
  user_email: ['user_email', 'customer_email'],
  external_id: ['id'],
  updated_at: ['updated_at'],
  metadata: ['metadata'],
} as const satisfies Partial<Record<keyof Mapped, readonly string[]>>

const said = (mapped: Mapped) =>
  (Object.keys(FLAT_NAMES) as (keyof typeof FLAT_NAMES)[]).filter((field) => mapped[field] !== undefined)

function withoutOwnNames(payload: Incoming['payload'], mapped: Mapped): Record<string, unknown> {
  const names = new Set<string>(said(mapped).flatMap((field) => FLAT_NAMES[field] as readonly string[]))
  return Object.fromEntries(Object.entries(payload).filter(([name]) => !names.has(name)))
}

const asFlat = (mapped: Mapped): Record<string, unknown> =>
  Object.fromEntries(said(mapped).map((field) => [FLAT_NAMES[field][0], mapped[field]]))

function withSource(event: PlatformEvent, { id, settings, redaction }: Mapping): PlatformEvent {
  if (!('draft' in event)) return event
  const { draft } = event
  const own: TicketDraft = {
    ...draft,
    // Two tenants number their tickets alike: unless they say otherwise, each source counts for itself.
    account: draft.account === '' ? (settings.account ?? id) : draft.account,
    defaults: settings.defaults,
  }
  return { ...event, draft: redaction?.hasTicket ? redaction.draft(own) : own }
}
