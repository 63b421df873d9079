import type { DatabaseSync } from 'node:sqlite'

import { ERASED } from '../core/audit.ts'
import type { Eraser } from '../core/erasure.ts'
import { ticketJson } from '../core/ticket.ts'
import { createErasing, entryOf, type Found } from './erasing.ts'
import { auditRow } from './sqlite-audit.ts'
import { inTransaction, integer } from './sqlite-files.ts'
import { ARTICLE, chunkOf, wholeArticleOf } from './articles.ts'
import { DELIVERY, ticketOf, type TicketRow, ticketRow } from './rows.ts'

const PAGE = 200
/** Writes of one transaction: a server that runs beside waits for no more than these. */
const GROUP = 50

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
  const erasing = createErasing(eraser)
  const found: Found = { deliveries: 0, tickets: 0, mentions: 0, timeline: 0, keys: 0, sources: 0, articles: 0 }
  // What arrives from now on belongs to after the erasure.
  const newest = {
    delivery: integer(db, 'select max(id) from deliveries'),
    ticket: integer(db, 'select max(id) from tickets'),
    entry: integer(db, 'select max(id) from timeline'),
    decision: integer(db, 'select max(id) from triage'),
    article: integer(db, 'select max(id) from articles'),
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
    articles: db.prepare(`select ${ARTICLE}, body from articles where id > ? and id <= ? order by id limit ${PAGE}`),
    chunks: db.prepare('select id, heading, text, null as vector from chunks where article_id = ? order by id'),
    saveArticle: db.prepare(`
      update articles set source = ?, title = ?, labels = ?, sha256 = ?, size = ?, words = ?, body = ? where id = ?`),
    saveChunk: db.prepare('update chunks set heading = ?, text = ?, model = null, vector = null where id = ?'),
    saveKey: db.prepare('update api_keys set name = ? where id = ?'),
  }

  function write(work: () => void): void {
    if (!isDry) inTransaction(db, work)
  }

  /** Which tickets are the person's, which others hold the address somewhere, and which of all in their identity. */
  function findTickets(onProgress: Step): Tickets {
    const own = new Set<number>()
    const others = new Set<number>()
    const named = new Set<number>()
    for (const row of pages(sql.tickets, newest.ticket, onProgress)) {
      const ticket = ticketRow(row)
      if (erasing.isNamed(ticket)) named.add(ticket.id)
      if (erasing.isOwn(ticket)) own.add(ticket.id)
      else if (erasing.isMentioned(ticket)) others.add(ticket.id)
    }
    for (const row of pages(sql.entries, newest.entry, onProgress)) {
      const id = Number(row['ticket_id'])
      if (!own.has(id) && erasing.isTold(entryOf(row))) others.add(id)
    }
    return { own, others, named }
  }

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
    const delivery = auditRow(row)
    const erasure = erasing.delivery(delivery, {
      body: bodyText(row),
      answer: typeof row['answer'] === 'string' ? row['answer'] : '',
      isTheirs,
    })
    if (erasure === null) return null
    found.deliveries += 1
    if ('answer' in erasure) return () => void sql.answer.run(erasure.answer, delivery.id)
    const { address, path, headers, bodySha256, requestId, idempotencyKey, reason } = ERASED
    const columns = [address, path, headers, bodySha256, requestId, idempotencyKey, reason] as const
    return () => void sql.eraseDelivery.run(...columns, erasure.seal, delivery.id)
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
    const after = erasing.ticket(row)
    const isTheirs = erasing.isOwn(row)
    const entries = sql.entriesOf.all(id).filter((entry) => eraseEntry(entry, row))
    found.timeline += entries.length
    // Across an escape of JSON something may look like the address and be none.
    const isSame = !isTheirs && !erasing.isNamed(row) && entries.length === 0
    if (isSame && ticketJson(ticketOf(row)) === ticketJson(ticketOf(after))) return
    found[isTheirs ? 'tickets' : 'mentions'] += 1
    if (isDry) return
    saveTicket(after)
    sql.note.run(id, now, actor)
  }

  function saveTicket(row: TicketRow): void {
    const content = [row.title, row.description, row.category, row.user_id, row.user_email, row.metadata] as const
    const identity = [row.platform, row.account, row.external_id] as const
    sql.saveTicket.run(...content, ...identity, row.fingerprint, row.sender_said, row.id)
  }

  /** Whether there was something to erase. */
  function eraseEntry(row: Row, of: TicketRow): boolean {
    const after = erasing.entry(entryOf(row), of)
    if (after === null) return false
    const { actor: who, changes, comment, comment_key: key, fingerprint } = after
    if (!isDry) sql.saveEntry.run(who, changes, comment, key, fingerprint, Number(row['id']))
    return true
  }

  /** What triage made of the person's tickets, and whatever else mentions the address or leans on one of them. */
  function eraseDecisions({ own }: Tickets): void {
    const drop: (() => void)[] = [...own].map((id) => () => void sql.dropVector.run(id))
    for (const row of pages(sql.decisions, newest.decision, () => {})) {
      const told = { ticketId: Number(row['ticket_id']), decision: String(row['decision']), seen: String(row['seen']) }
      if (erasing.isDecidedOn(told, own)) drop.push(() => void sql.dropDecision.run(Number(row['id'])))
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

  /** What articles say of the person; a running server reads them anew then. */
  function eraseArticles(): void {
    for (const row of pages(sql.articles, newest.article, () => {})) {
      const article = wholeArticleOf(row)
      const erased = erasing.article({ article, chunks: sql.chunks.all(article.id).map(chunkOf) })
      if (erased === null) continue
      found.articles += 1
      const { source, title, labels, sha256, size, words, body } = erased.columns
      write(() => {
        sql.saveArticle.run(source, title, labels, sha256, size, words, body, article.id)
        for (const { id, heading, text } of erased.pieces) sql.saveChunk.run(heading, text, id)
      })
    }
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

  return {
    found,
    newest,
    findTickets,
    eraseDeliveries,
    eraseTickets,
    eraseDecisions,
    eraseKeys,
    eraseSources,
    eraseArticles,
  }
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

/** Whatever its charset, the address is ASCII nearly always, and then the same in each. */
function bodyText(row: Row): string {
  const body = row['body'] as Uint8Array | null // cast to blob
  return body === null ? '' : Buffer.from(body).toString(row['kind'] === 'text' ? 'utf8' : 'latin1')
}
