import { type Incoming, nameOf, type Platform, type PlatformEvent } from '../core/platform.ts'
import { isObject } from '../core/json.ts'
import { newTicket } from '../core/merge.ts'
import type { Comment, TicketDraft } from '../core/ticket.ts'
import { readEvent } from './mapping.ts'
import { eventsIn, incomingOf, type Platforms } from './platforms.ts'
import type { RawRequest } from './request.ts'
import type { Registered } from './sources.ts'

/** What would become of a body. `unmapped` names what the ticket has no field for; it is kept with it all the same. */
export type Preview = { platform: string; label: string } & (EventPreview | { kind: 'batch'; events: EventPreview[] })

type EventPreview = {
  kind: PlatformEvent['kind']
  delivery_id: string | null
  /** Why it makes no ticket. */
  reason: string | null
  /** What a handshake is answered with. */
  answer: unknown
  ticket: ReturnType<typeof ticketOf> | null
  comment: Comment | null
  unmapped: string[]
  warnings: string[]
}

export async function previewOf(
  platforms: Platforms,
  request: RawRequest,
  body: unknown,
  source: Registered | null,
): Promise<Preview> {
  const { platform, events } = eventsIn(platforms, request, body, source?.platform)
  const named = { platform: nameOf(platform), label: platform.label }
  const previews: EventPreview[] = []
  for (const event of events) {
    const incoming = incomingOf(platforms, request, event)
    previews.push(shown(platform, incoming, await readEvent(platforms, platform, incoming, source)))
  }
  const [first] = previews
  return previews.length === 1 && first !== undefined
    ? { ...named, ...first }
    : { ...named, kind: 'batch', events: previews }
}

function shown(platform: Platform, incoming: Incoming, event: PlatformEvent): EventPreview {
  const nothing = { reason: null, answer: null, ticket: null, comment: null, unmapped: [], warnings: [] }
  const base = { ...nothing, kind: event.kind, delivery_id: platform.deliveryId?.(incoming) ?? null }
  if (event.kind === 'ignored') return { ...base, reason: event.reason }
  if (event.kind === 'handshake') return { ...base, answer: event.answer }
  const { draft } = event
  return {
    ...base,
    ticket: ticketOf(draft),
    comment: draft.event?.comment ?? draft.event?.reply?.comment ?? null,
    unmapped: pathsIn(draft.metadata['unmapped']),
    warnings: warningsOf(draft),
  }
}

/** The ticket as it would be answered if it were new; it has no number and no times, because it is not stored. */
export function ticketOf(draft: TicketDraft) {
  const ticket = newTicket(0, { ...draft, metadata: '' }, 0)
  return {
    title: ticket.title,
    description: ticket.description,
    category: ticket.category,
    priority: ticket.priority,
    status: ticket.status,
    user_id: ticket.userId,
    user_email: ticket.userEmail,
    ticket_metadata: draft.metadata,
  }
}

function warningsOf(draft: TicketDraft): string[] {
  const { metadata, event } = draft
  const warnings: string[] = []
  const warn = (isSo: boolean, warning: string) => isSo && warnings.push(warning)
  warn(draft.title === null, 'No title in this event: a ticket that was not here before is named after its number')
  warn(draft.description === null, 'No description in this event: a new ticket takes its title instead')
  warn(draft.externalId === null, 'No id: each delivery makes a ticket of its own, and none can be updated')
  warn(
    draft.priority === null && metadata['original_priority'] !== undefined,
    `Priority ${JSON.stringify(metadata['original_priority'])} is not known: a new ticket gets medium`,
  )
  warn(draft.userEmail === null && metadata['original_email'] === undefined, 'No e-mail address of the customer')
  warn(metadata['original_email'] !== undefined, 'The e-mail address is not valid; it is kept in the metadata')
  warn(metadata['full_title'] !== undefined, 'The title is cut at 500 characters; the whole is kept in the metadata')
  warn(
    event !== null && draft.sentUpdatedAt === null && event.kind === 'updated',
    'No time of the last change: updates apply in the order in which they arrive',
  )
  return warnings
}

/** `detail.assignee_id` for each value that is not an object. */
function pathsIn(value: unknown, path = ''): string[] {
  if (!isObject(value)) return path === '' ? [] : [path]
  return Object.entries(value).flatMap(([key, child]) => pathsIn(child, path === '' ? key : `${path}.${key}`))
}
