import { randomUUID } from 'node:crypto'

import { sealOf } from '../core/audit.ts'
import { type Eraser, erasedChanges, erasedComment, erasedTicket, ticketWithout } from '../core/erasure.ts'
import type { Decision } from '../core/decision.ts'
import type { Comment, FieldChange } from '../core/ticket.ts'
import { type ArticleRows, erasedArticle } from './articles.ts'
import { textOrNull, ticketOf, type TicketRow } from './rows.ts'
import type { AuditRow } from './store.ts'

/** What was found, or would be. */
export type Found = {
  /** Deliveries whose personal part goes. */
  deliveries: number
  /** Tickets of the person, and others' that mention the address. */
  tickets: number
  mentions: number
  /** Lines of these tickets' timelines that change. */
  timeline: number
  /** API keys whose name holds it. */
  keys: number
  /** Sources whose settings hold it. */
  sources: number
  /** Articles that mention it. */
  articles: number
}

/** The columns of a timeline's row that may be about a person. */
export type EntryText = {
  actor: string
  changes: string
  comment: string | null
  comment_key: string | null
  fingerprint: string | null
}

/** What has to become of a delivery: all that is personal goes but the seal, or its answer is another. */
export type DeliveryErasure = { seal: string | null } | { answer: string }

/** What of a row is about a person, and what it is without that: the same in every engine. */
export function createErasing(eraser: Eraser) {
  const isOwn = (row: TicketRow) => row.user_email?.trim().toLowerCase() === eraser.email
  const isNamed = ({ platform, account, external_id: id }: TicketRow) =>
    [platform, account, id ?? ''].some(eraser.isWithin)
  const isMentioned = (row: TicketRow) => isNamed(row) || textsOf(row).some(eraser.mentions)
  const isTold = ({ actor, changes, comment, comment_key: key }: EntryText) =>
    [actor, changes, comment ?? '', key ?? ''].some(eraser.mentions)

  /** Null when it says nothing of the person, or nothing any more. `isTheirs`: a ticket of theirs was told by it. */
  function delivery(
    row: AuditRow,
    { body, answer, isTheirs }: { body: string; answer: string; isTheirs: boolean },
  ): DeliveryErasure | null {
    const { salt, seal, link, ...said } = row
    const { address, path, headers, requestId, idempotencyKey, reason } = said
    const isErased = seal !== null || said.bodySha256 === ''
    const mentions = [address, path, headers, reason ?? '', requestId, idempotencyKey ?? '', body].some(eraser.isWithin)
    if (!isErased && (isTheirs || mentions)) {
      // One from before the chain has no salt, and no seal: nothing is linked to it.
      return { seal: link === null || salt === null ? null : sealOf(said, salt) }
    }
    return eraser.isWithin(answer) ? { answer: eraser.withoutInJson(answer, true) } : null
  }

  function ticket(row: TicketRow): TicketRow {
    const isTheirs = isOwn(row)
    const after = isTheirs ? erasedTicket(ticketOf(row), eraser) : ticketWithout(ticketOf(row), eraser, isNamed(row))
    return {
      ...row,
      title: after.title,
      description: after.description,
      category: after.category,
      user_id: after.userId,
      user_email: after.userEmail,
      metadata: after.metadata,
      platform: withoutAddress(row.platform),
      account: withoutAddress(row.account),
      external_id: row.external_id === null ? null : withoutAddress(row.external_id),
      // The hash of a text that may be guessed would tell that it was this one.
      fingerprint: isTheirs ? null : row.fingerprint,
      sender_said: row.sender_said === null ? null : eraser.withoutInJson(row.sender_said, true),
    }
  }

  /** An identity that holds the address gives way to one that nobody can send: unique, and hashed from nothing. */
  const withoutAddress = (part: string) => (eraser.isWithin(part) ? `erased:${randomUUID()}` : part)

  /** A line of the ticket's timeline; null when there is nothing to erase. */
  function entry(before: EntryText, of: TicketRow): EntryText | null {
    const [isTheirs, isId] = [isOwn(of), isNamed(of)]
    const clean = (json: string) => eraser.withoutInJson(json, isId)
    const { actor, changes, comment, comment_key: commentKey, fingerprint } = before
    const said =
      comment === null ? null : isTheirs ? JSON.stringify(erasedComment(objectOf<Comment>(comment))) : clean(comment)
    const after: EntryText = {
      actor: eraser.without(actor),
      changes: isTheirs
        ? JSON.stringify(erasedChanges(objectOf<Record<string, FieldChange>>(changes), eraser))
        : clean(changes),
      comment: said,
      comment_key: isTheirs || said !== comment ? null : commentKey,
      fingerprint: isTheirs ? null : fingerprint,
    }
    const isSame = (Object.keys(after) as (keyof EntryText)[]).every((column) => after[column] === before[column])
    return isSame ? null : after
  }

  /** Whether a decision of triage is on one of these tickets, leans on one of them, or mentions the address. */
  function isDecidedOn(
    told: { ticketId: number; decision: string; seen: string },
    tickets: ReadonlySet<number>,
  ): boolean {
    const { draft_reply: draft } = objectOf<Pick<Decision, 'draft_reply'>>(told.decision)
    const leansOn = draft?.sources.some(({ kind, id }) => kind === 'ticket' && tickets.has(id)) ?? false
    return tickets.has(told.ticketId) || leansOn || eraser.mentions(told.decision) || eraser.mentions(told.seen)
  }

  return {
    isDecidedOn,
    isOwn,
    isNamed,
    isMentioned,
    isTold,
    delivery,
    ticket,
    entry,
    article: (rows: ArticleRows) => erasedArticle(rows, eraser),
    /** A name, or the JSON of settings: itself where it says nothing of the person. */
    name: (text: string) => (eraser.isWithin(text) ? eraser.without(text, true) : text),
    settings: (json: string) => (eraser.isWithin(json) ? eraser.withoutInJson(json, true) : json),
  }
}

const textsOf = (row: TicketRow) => [
  row.title,
  row.description,
  row.category,
  row.user_id ?? '',
  row.user_email ?? '',
  row.metadata,
  row.sender_said ?? '',
]

/** JSON that the store wrote itself. */
const objectOf = <T>(json: string) => JSON.parse(json) as T

export const entryOf = (row: Record<string, unknown>): EntryText => ({
  actor: String(row['actor']),
  changes: String(row['changes']),
  comment: textOrNull(row['comment']),
  comment_key: textOrNull(row['comment_key']),
  fingerprint: textOrNull(row['fingerprint']),
})
