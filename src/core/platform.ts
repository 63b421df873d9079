import type { Headers, SignedRequest, Verify } from './signature.ts'
import type { PriorityScale } from './priority.ts'
import type { EventKind, TicketDraft } from './ticket.ts'

/** One event of a parsed request body with the headers it came with (names in lower case). */
export type Incoming = {
  headers: Headers
  payload: Readonly<Record<string, unknown>>
  /** The scale of the platform of this name, for a flat payload that only names its sender. */
  scaleOf?: (platform: string) => PriorityScale | undefined
}

/** Why a delivery makes no ticket although nothing is wrong with it. */
export type IgnoreReason =
  | 'auto_reply' // an out-of-office note, a bounce, bulk mail
  | 'ping' // the sender sees whether somebody is there
  | 'not_a_ticket' // an event about something else, such as a user or a deal
  | 'unrendered_template' // the sender's test button: {{ticket.title}} was never filled in
  | 'own_event' // made by a bot or by ourselves
  | 'no_change' // an event that says nothing of the ticket
  | 'unknown_ticket' // the end of a ticket that was never here

/** What one event of a sender is to us. */
export type PlatformEvent =
  | { kind: EventKind; draft: TicketDraft }
  | { kind: 'ignored'; reason: IgnoreReason }
  /** The sender asks whether this is the right place; `answer` is the JSON that it waits for. */
  | { kind: 'handshake'; answer: unknown }

/** A sender, as the pipeline sees it. Data and pure functions only: a platform reads no clock and no disk. */
export type Platform = {
  id: string
  label: string
  /** What its tickets say where they come from: `email` for each of the mail gateways. The id, unless given. */
  name?: string
  /** Other names for `?platform=` and for a flat payload's `platform`, such as `jsm`. */
  aliases?: readonly string[]
  /** Which of its events are understood. */
  kinds: readonly (EventKind | 'handshake' | 'ignored')[]
  /** Headers that this sender alone sends: any of them says who it is, before the body is looked at. */
  headers?: readonly string[]
  /** How its User-Agent begins; tells whose a body was that could not be read. */
  userAgent?: string
  /** Whether this body is in the sender's own format. Cheap, and never a reason to trust it. */
  recognises: (payload: Incoming['payload'], headers: Headers) => boolean
  /** Whether the body can be nobody else's: asked of the form that is most sent, to spare it all other questions. */
  isCertain?: (payload: Incoming['payload']) => boolean
  /** How its deliveries can be verified, by name; the first is the usual one. */
  schemes: Readonly<Record<string, Verify>>
  /**
   * What its signature is bound to where that is not the body: whoever caught it could sign another body with it, so it
   * is taken with one body alone.
   */
  nonce?: (request: SignedRequest) => string | null
  /** Its own priorities, for digits above all. */
  priorities?: PriorityScale
  /** The sender's own id of this delivery, the same when it sends it again. Null when it has none. */
  deliveryId?: (incoming: Incoming) => string | null
  /** The events in a body that is a list or holds one; null when it is one event. */
  events?: (body: unknown) => unknown[] | null
  /** Throws AppError `malformed`, naming what is missing, when this is no event of this sender. */
  read: (incoming: Incoming) => PlatformEvent
  /** The answer that the sender wants instead of the ticket's JSON. */
  answer?: (incoming: Incoming, ticket: string) => string
}

/** What is written where a ticket or a delivery says whose it is. */
export const nameOf = ({ id, name }: Pick<Platform, 'id' | 'name'>): string => name ?? id
