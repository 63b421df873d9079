import { randomUUID } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'

import { ERASED, sealOf } from '../core/audit.ts'
import type { Decision } from '../core/decision.ts'
import { type Eraser, erasedChanges, erasedComment, erasedTicket, ticketWithout } from '../core/erasure.ts'
import { type Comment, type FieldChange, type Ticket, ticketJson } from '../core/ticket.ts'
import { auditRow } from './sqlite-audit.ts'
import { integer } from './sqlite-files.ts'
import { DELIVERY, ticketOf, type TicketRow, ticketRow } from './rows.ts'

const PAGE = 200
/** Writes of one transaction: a server that runs beside waits for no more than these. */
const GROUP = 50

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
}

type Row = Record<string, unknown>

/** Is told how far it is: the id of a row, or a number of tickets. */
type Step = (done: number) => void

type Tickets = { own: Set<number>; others: Set<number>; named: Set<number> }

/**
 * Takes what is about a person out of the tables, in short transactions: whenever it is interrupted, each row is as it
 * was or erased, and the next run finds the rest. Deliveries go first, because the tickets say which are the person's.
 */
export function createErasure(
  db: DatabaseSync,
  eraser: Eraser,
  options: { isDry: boolean; now: number; actor: string },
) {
  const { isDry, now, actor } = options
  const found: Found = { deliveries: 0, tickets: 0, mentions: 0, timeline: 0, keys: 0, sources: 0 }
  // What arrives from now on belongs to after the erasure.
  const newest = {
    delivery: integer(db, 'select max(id) from deliveries'),
    ticket: integer(db, 'select max(id) from tickets'),
    entry: integer(db, 'select max(id) from timeline'),
    decision: integer(db, 'select max(id) from triage'),
  }
  const sql = {
    deliveries: db.prepare(`
      select ${DELIVERY}, answer, salt, link, seal, cast(body as blob) as body, typeof(body) as kind
      from deliveries where id > ? and id <= ? order by id limit ${PAGE}`),
    eraseDelivery: db.prepare(`
      update deliveries set address = ?, path = ?, headers = ?, body_sha256 = ?, request_id = ?, idempotency_key = ?,
        reason = ?, body = null, answer = null, salt = null, seal = ? where id = ? and seal is null`),
    answer: db.prepare('update deliveries set answer = ? where id = ?'),
    tickets: db.prepare(`select * from tickets where id > ? and id <= ? order by id limit ${PAGE}`),
    ticket: db.prepare('select * from tickets where id = ?'),
    saveTicket: db.prepare(`
      update tickets set title = ?, description = ?, category = ?, user_id = ?, user_email = ?, metadata = ?,
        platform = ?, account = ?, external_id = ?, fingerprint = ?, sender_said = ? where id = ?`),
    entries: db.prepare(`select * from timeline where id > ? and id <= ? order by id limit ${PAGE}`),
    entriesOf: db.prepare('select * from timeline where ticket_id = ? order by id'),
    saveEntry: db.prepare(
      'update timeline set actor = ?, changes = ?, comment = ?, comment_key = ?, fingerprint = ? where id = ?',
    ),
    note: db.prepare(`insert into timeline (ticket_id, at, kind, actor, changes) values (?, ?, 'erased', ?, '{}')`),
    keys: db.prepare('select id, name from api_keys'),
    sources: db.prepare('select id, settings from sources'),
    saveSource: db.prepare('update sources set settings = ? where id = ?'),
    decisions: db.prepare(`
      select id, ticket_id, decision, seen from triage where id > ? and id <= ? order by id limit ${PAGE}`),
    dropDecision: db.prepare('delete from triage where id = ?'),
    dropVector: db.prepare('delete from vectors where ticket_id = ?'),
    saveKey: db.prepare('update api_keys set name = ? where id = ?'),
  }

  function write(work: () => void): void {
    if (isDry) return
    db.exec('begin immediate')
    try {
      work()
      db.exec('commit')
    } catch (error) {
      if (db.isTransaction) db.exec('rollback')
      throw error
    }
  }

  /** Which tickets are the person's, which others hold the address somewhere, and which of all in their identity. */
  function findTickets(onProgress: Step): Tickets {
    const own = new Set<number>()
    const others = new Set<number>()
    const named = new Set<number>()
    for (const row of pages(sql.tickets, newest.ticket, onProgress)) {
      const ticket = ticketRow(row)
      if (isNamed(ticket)) named.add(ticket.id)
      if (isOwn(ticket)) own.add(ticket.id)
      else if (isNamed(ticket) || textsOf(ticket).some(eraser.mentions)) others.add(ticket.id)
    }
    for (const row of pages(sql.entries, newest.entry, onProgress)) {
      const id = Number(row['ticket_id'])
      if (!own.has(id) && [row['actor'], row['changes'], row['comment'], row['comment_key']].some(isMention))
        others.add(id)
    }
    return { own, others, named }
  }

  const isMention = (value: unknown) => typeof value === 'string' && eraser.mentions(value)
  const isOwn = (row: TicketRow) => row.user_email?.trim().toLowerCase() === eraser.email
  const isNamed = ({ platform, account, external_id: id }: TicketRow) =>
    [platform, account, id ?? ''].some(eraser.isWithin)

  /** Those that mention the address, and all that a ticket of the person, or named by the address, was told by. */
  function eraseDeliveries({ own, named }: Tickets, onProgress: Step): void {
    const theirs = own.union(named)
    const brought = broughtBy(theirs)
    let group: (() => void)[] = []
    const flush = () => {
      const all = group
      group = []
      if (all.length > 0) write(() => all.forEach((one) => one()))
    }
    for (const row of pages(sql.deliveries, newest.delivery, onProgress)) {
      const isTheirs = theirs.has(Number(row['ticket_id'])) || brought.has(Number(row['id']))
      const job = eraseDelivery(row, isTheirs)
      if (job !== null) group.push(job)
      if (group.length >= GROUP) flush()
    }
    flush()
  }

  /** What to do about a delivery; null when it says nothing of the person, or nothing any more. */
  function eraseDelivery(row: Row, isTheirs: boolean): (() => void) | null {
    const { id, salt, seal, link, ...entry } = auditRow(row)
    const { address, path, headers, requestId, idempotencyKey, reason } = entry
    const answer = typeof row['answer'] === 'string' ? row['answer'] : ''
    const isErased = seal !== null || entry.bodySha256 === ''
    const mentions =
      [address, path, headers, reason ?? '', requestId, idempotencyKey ?? ''].some(eraser.isWithin) || bodyMentions(row)
    if (!isErased && (isTheirs || mentions)) {
      found.deliveries += 1
      // One from before the chain has no salt, and no seal: nothing is linked to it.
      const kept = link === null || salt === null ? null : sealOf(entry, salt)
      const { hasBody: _, ...nothing } = ERASED
      const { bodySha256: sha256, requestId: request, idempotencyKey: key } = nothing
      const columns = [nothing.address, nothing.path, nothing.headers, sha256, request, key, nothing.reason] as const
      return () => void sql.eraseDelivery.run(...columns, kept, id)
    }
    if (!eraser.isWithin(answer)) return null
    found.deliveries += 1
    return () => void sql.answer.run(eraser.withoutInJson(answer, true), id)
  }

  function bodyMentions(row: Row): boolean {
    const body = row['body'] as Uint8Array | null // cast to blob
    // Whatever its charset, the address is ASCII nearly always, and then the same in each.
    return body !== null && eraser.isWithin(Buffer.from(body).toString(row['kind'] === 'text' ? 'utf8' : 'latin1'))
  }

  function eraseTickets({ own, others }: Tickets, onProgress: Step): void {
    const all = [...own, ...others]
    for (let start = 0; start < all.length; start += GROUP) {
      const group = all.slice(start, start + GROUP)
      write(() => group.forEach(eraseTicket))
      if (isDry) group.forEach(eraseTicket)
      onProgress(start + group.length)
    }
  }

  /** Reads it again: whoever wrote to it meanwhile has committed. */
  function eraseTicket(id: number): void {
    const row = ticketRow(sql.ticket.get(id))
    const isTheirs = isOwn(row)
    const isId = isNamed(row)
    const before = ticketOf(row)
    const after = isTheirs ? erasedTicket(before, eraser) : ticketWithout(before, eraser, isId)
    const entries = sql.entriesOf.all(id).filter((entry) => eraseEntry(entry, isTheirs, isId))
    found.timeline += entries.length
    // Across an escape of JSON something may look like the address and be none.
    if (!isTheirs && !isId && entries.length === 0 && ticketJson(before) === ticketJson(after)) return
    found[isTheirs ? 'tickets' : 'mentions'] += 1
    if (isDry) return
    saveTicket(row, after, isTheirs)
    sql.note.run(id, now, actor)
  }

  function saveTicket(row: TicketRow, after: Ticket, isTheirs: boolean): void {
    const said = row.sender_said === null ? null : eraser.withoutInJson(row.sender_said, true)
    // The hash of a text that may be guessed would tell that it was this one.
    const fingerprint = isTheirs ? null : row.fingerprint
    const { title, description, category, userId, userEmail, metadata } = after
    const identity = [row.platform, row.account, row.external_id].map(withoutAddress)
    const content = [title, description, category, userId, userEmail, metadata] as const
    sql.saveTicket.run(...content, identity[0] ?? '', identity[1] ?? '', identity[2] ?? null, fingerprint, said, row.id)
  }

  /** An identity that holds the address gives way to one that nobody can send: unique, and hashed from nothing. */
  const withoutAddress = (part: string | null) =>
    part !== null && eraser.isWithin(part) ? `erased:${randomUUID()}` : part

  /** Whether there was something to erase. */
  function eraseEntry(row: Row, isTheirs: boolean, isId: boolean): boolean {
    const before = [row['actor'], row['changes'], row['comment'], row['comment_key'], row['fingerprint']].map(textOf)
    const [who, changes, comment, commentKey, fingerprint] = before
    const clean = (json: string | null | undefined) => (json ? eraser.withoutInJson(json, isId) : null)
    const changed = isTheirs
      ? JSON.stringify(erasedChanges(objectOf<Record<string, FieldChange>>(changes), eraser))
      : clean(changes)
    const said = isTheirs && comment ? JSON.stringify(erasedComment(objectOf<Comment>(comment))) : clean(comment)
    const isSame = said === comment
    const after = [
      eraser.without(who ?? ''),
      changed ?? '{}',
      said,
      isTheirs || !isSame ? null : (commentKey ?? null),
      isTheirs ? null : (fingerprint ?? null),
    ] as const
    if (after.every((value, index) => value === before[index])) return false
    if (!isDry) sql.saveEntry.run(...after, Number(row['id']))
    return true
  }

  /** What triage made of the person's tickets, and whatever else mentions the address or leans on one of them. */
  function eraseDecisions({ own }: Tickets): void {
    const drop: (() => void)[] = [...own].map((id) => () => void sql.dropVector.run(id))
    for (const row of pages(sql.decisions, newest.decision, () => {})) {
      const { draft_reply: draft } = objectOf<Pick<Decision, 'draft_reply'>>(String(row['decision']))
      const leansOn = draft?.sources.some(({ kind, id }) => kind === 'ticket' && own.has(id)) ?? false
      const isTheirs = own.has(Number(row['ticket_id'])) || leansOn
      if (isTheirs || isMention(row['decision']) || isMention(row['seen'])) {
        drop.push(() => void sql.dropDecision.run(Number(row['id'])))
      }
    }
    for (let start = 0; start < drop.length; start += GROUP) {
      write(() => drop.slice(start, start + GROUP).forEach((one) => one()))
    }
  }

  function eraseKeys(): void {
    const named = sql.keys.all().filter((row) => eraser.isWithin(String(row['name'])))
    found.keys = named.length
    if (named.length === 0) return
    write(() => named.forEach((row) => sql.saveKey.run(eraser.without(String(row['name']), true), String(row['id']))))
  }

  /** An expression may be another one without it; what it says in a name or a rule goes like anywhere else. */
  function eraseSources(): void {
    const named = sql.sources.all().filter((row) => eraser.isWithin(String(row['settings'])))
    found.sources = named.length
    if (named.length === 0) return
    write(() => {
      for (const { id, settings } of named) {
        sql.saveSource.run(eraser.withoutInJson(String(settings), true), String(id))
      }
    })
  }

  /** Deliveries that brought something to these tickets, also in a batch, whose row names no ticket. */
  function broughtBy(tickets: ReadonlySet<number>): Set<number> {
    const ids = new Set<number>()
    for (const id of tickets) {
      ids.add(Number(sql.ticket.get(id)?.['delivery_id']))
      for (const row of sql.entriesOf.all(id)) ids.add(Number(row['delivery_id']))
    }
    return ids
  }

  return { found, newest, findTickets, eraseDeliveries, eraseTickets, eraseDecisions, eraseKeys, eraseSources }
}

/** All rows up to `last`, a page at a time, so that none holds up the writer or the checkpoint. */
function* pages(
  statement: { all: (after: number, last: number) => Row[] },
  last: number,
  onProgress: Step,
): Generator<Row> {
  let after = 0
  for (;;) {
    const rows = statement.all(after, last)
    yield* rows
    after = Number(rows.at(-1)?.['id'] ?? last)
    onProgress(after)
    if (rows.length < PAGE) return
  }
}

const textOf = (value: unknown) => (typeof value === 'string' ? value : null)
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
const objectOf = <T>(json: string | null | undefined) => JSON.parse(json ?? '{}') as T
