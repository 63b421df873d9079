import type { Ticket } from '../core/ticket.ts'
import { numberOrNull, textOrNull, ticketRow } from './rows.ts'
import type { Statements } from './sqlite-statements.ts'
import type { Tables } from './tables.ts'

const rowOrNone = (row: unknown) => (row === undefined ? undefined : ticketRow(row))

/** The tables of SQLite, each question a prepared statement. `ids` are the highest numbers so far. */
export function sqliteTables(sql: Statements, ids: { ticket: number; delivery: number }): Tables {
  return {
    nextTicket: () => ids.ticket + 1,
    nextDelivery: () => ids.delivery + 1,
    ticketById: (id) => rowOrNone(sql.ticketById.get(id)),
    mergedInto: (id) => sql.mergedInto.all(id).map((row) => Number(row['id'])),
    ticketByIdentity: (platform, account, externalId) =>
      rowOrNone(sql.ticketByIdentity.get(platform, account, externalId)),
    insertTicket: (ticket, draft, { deliveryId, fingerprint, unsaid }) => {
      const { changes } = sql.insertTicket.run(
        ticket.id,
        ...contentOf(ticket),
        draft.platform,
        draft.account,
        draft.externalId,
        draft.sentUpdatedAt,
        draft.externalId === null ? null : fingerprint,
        deliveryId,
        ticket.createdAt,
        ticket.updatedAt,
        ticket.resolvedAt,
        unsaid,
      )
      if (changes !== 1) return false
      ids.ticket = ticket.id
      return true
    },
    updateTicket: ({ ticket, said, sentUpdatedAt }, unsaid) => {
      sql.updateTicket.run(
        ...contentOf(ticket),
        sentUpdatedAt,
        Object.keys(said).length === 0 ? null : JSON.stringify(said),
        ticket.updatedAt,
        ticket.resolvedAt,
        unsaid,
        ticket.merged?.into ?? null,
        ticket.merged?.at ?? null,
        ticket.merged?.status ?? null,
        ticket.id,
      )
    },
    addJob: ({ id, createdAt }, traceparent) => {
      if (traceparent === undefined) sql.insertJob.run('triage', id, createdAt)
      else sql.insertTracedJob.run('triage', id, createdAt, JSON.stringify({ ticket_id: id, traceparent }))
    },
    insertDelivery: (entry, { body, answer, salt, link }) => {
      const { changes } = sql.insertDelivery.run(
        entry.id,
        entry.receivedAt,
        entry.source,
        entry.address,
        entry.method,
        entry.path,
        entry.headers,
        body,
        entry.bodySize,
        entry.bodySha256,
        entry.requestId,
        entry.platform,
        entry.idempotencyKey,
        entry.outcome,
        entry.status,
        entry.reason,
        entry.ticketId,
        entry.durationUs,
        answer,
        salt,
        link,
        entry.replayOf,
      )
      return changes === 1
    },
    amendDelivery: ({ id, outcome, status, reason, ticketId }, { answer, link }) => {
      sql.amendDelivery.run(outcome, status, reason, ticketId, answer, link, id)
    },
    deliveryByKey: (source, key) => {
      const row = sql.deliveryByKey.get(source, key)
      if (row === undefined) return undefined
      return {
        id: Number(row['id']),
        ticketId: numberOrNull(row['ticket_id'] ?? null),
        bodySha256: String(row['body_sha256']),
        answer: textOrNull(row['answer'] ?? null),
      }
    },
    answer: (deliveryId) => textOrNull(sql.answer.get(deliveryId)?.['answer'] ?? null),
    keepAnswer: (deliveryId, answer) => {
      sql.keepAnswer.run(answer, deliveryId)
    },
    played: (origin) =>
      sql.playedBefore.all(origin).map((row) => ({
        ticketId: numberOrNull(row['ticket_id'] ?? null),
        answer: textOrNull(row['answer'] ?? null),
      })),
    hasOtherEntries: (ticketId, origin) => sql.otherEntries.get(ticketId, origin) !== undefined,
    addEntry: ({ ticketId, at, kind, actor, deliveryId, changes, fingerprint, comment, commentKey }) => {
      const said = comment === null ? null : JSON.stringify(comment)
      sql.insertEntry.run(ticketId, at, kind, actor, deliveryId, JSON.stringify(changes), fingerprint, said, commentKey)
    },
    hasComment: (ticketId, key) => sql.entryByComment.get(ticketId, key) !== undefined,
    entryByFingerprint: (ticketId, fingerprint) => {
      const row = sql.entryByFingerprint.get(ticketId, fingerprint)
      return row === undefined ? undefined : { at: Number(row['at']), deliveryId: Number(row['delivery_id']) }
    },
    forgetFingerprint: (ticketId, fingerprint) => {
      sql.forgetFingerprint.run(ticketId, fingerprint)
    },
    addDecision: ({ ticketId, cause, at, decision, seen }) => {
      const { category, priority } = decision
      const suggested = [category, priority].flatMap((one) => [one?.value ?? null, Number(one?.is_sure ?? false)])
      return sql.addDecision.run(ticketId, cause, at, ...suggested, JSON.stringify(decision), seen).changes === 1
    },
    setVerdict: ({ ticketId, field, value, at, actor }) => {
      sql.setVerdict.run(ticketId, field, value, at, actor)
    },
  }
}

/** What a ticket says, in the order in which both statements that write one bind it. */
const contentOf = (ticket: Ticket) =>
  [
    ticket.title,
    ticket.description,
    ticket.category,
    ticket.priority,
    ticket.status,
    ticket.userId,
    ticket.userEmail,
    ticket.metadata,
  ] as const
