import { ERASED } from '../core/audit.ts'
import { createEraser } from '../core/erasure.ts'
import { ticketJson } from '../core/ticket.ts'
import { createErasing, type DeliveryErasure, type EntryText, entryOf, type Found } from './erasing.ts'
import { ARTICLE, chunkOf, type erasedArticle, wholeArticleOf } from './articles.ts'
import { tellArticles } from './postgres-articles.ts'
import { AUDIT_COLUMNS, auditRow } from './postgres-audit.ts'
import { tellerOf } from './postgres-bus.ts'
import { type Client, createPool, type Pool, query, transaction } from './postgres-connect.ts'
import { bounded, identityHash, TICKET } from './postgres-rows.ts'
import { prepareDatabase, unusable } from './postgres-schema.ts'
import { WORDS, wordsOf } from './postgres-words.ts'
import { ticketOf, type TicketRow, ticketRow } from './rows.ts'

const PAGE = 50
/** Where something about a person may be; each is searched again when all is done. */
const TABLES = ['tickets', 'timeline', 'deliveries', 'triage', 'api_keys', 'sources', 'articles', 'chunks'] as const

type Step = (step: 'tickets' | 'deliveries' | 'erasing' | 'searching', done: number, total: number) => void

/**
 * Takes what is about a person out of the database, also while nodes write to it, in short transactions: interrupted,
 * each row is as it was or erased, and the next run finds the rest. `isDry` only counts. `left` are rows that hold the
 * address as it is written all the same, by table. Throws StoreError.
 */
export async function erasePostgresPerson(
  url: string,
  options: { email: string; isDry: boolean; actor: string; now: number; onProgress: Step },
): Promise<Found & { left: Record<string, number> }> {
  const { email, isDry, onProgress } = options
  await prepareDatabase(url)
  const pool = createPool(url, { name: 'ticketflow erase', max: 2 })
  try {
    const found = await eraseRows(pool, options)
    const left: Record<string, number> = {}
    for (const [index, table] of isDry ? [] : TABLES.entries()) {
      onProgress('searching', index, TABLES.length)
      const held = `select count(*) as rows from ${table} t where position($1 in lower(t::text)) > 0`
      const [row] = await query(pool, held, [email.toLowerCase()])
      if (Number(row?.['rows']) > 0) left[table] = Number(row?.['rows'])
    }
    return { ...found, left }
  } catch (cause) {
    throw unusable(cause)
  } finally {
    await pool.end()
  }
}

async function eraseRows(
  pool: Pool,
  {
    email,
    isDry,
    actor,
    now,
    onProgress,
  }: { email: string; isDry: boolean; actor: string; now: number; onProgress: Step },
): Promise<Found> {
  const erasing = createErasing(createEraser(email))
  const found: Found = { deliveries: 0, tickets: 0, mentions: 0, timeline: 0, keys: 0, sources: 0, articles: 0 }

  /** Which tickets are the person's, or named by the address; which others hold it; and which deliveries told of the first. */
  async function findTickets() {
    const [theirs, others, brought] = [new Set<number>(), new Set<number>(), new Set<number>()]
    for await (const row of pages(pool, TICKET, 'tickets')) {
      const ticket = ticketRow(row)
      onProgress('tickets', ticket.id, row.last)
      if (erasing.isOwn(ticket) || erasing.isNamed(ticket)) {
        theirs.add(ticket.id)
        brought.add(ticket.delivery_id)
      } else if (erasing.isMentioned(ticket)) others.add(ticket.id)
    }
    for await (const row of pages(pool, `id, ticket_id, delivery_id, ${ENTRY}`, 'timeline')) {
      const id = Number(row['ticket_id'])
      if (theirs.has(id)) brought.add(Number(row['delivery_id'] ?? 0))
      else if (erasing.isTold(entryOf(row))) others.add(id)
    }
    return { theirs, others, brought }
  }

  async function eraseDeliveries({ theirs, brought }: { theirs: Set<number>; brought: Set<number> }): Promise<void> {
    for await (const row of pages(pool, `${AUDIT_COLUMNS}, answer, body, body_bytes`, 'deliveries')) {
      const delivery = auditRow(row)
      onProgress('deliveries', delivery.id, row.last)
      const { body, body_bytes: bytes, answer } = row
      const erasure = erasing.delivery(delivery, {
        // Whatever its charset, the address is ASCII nearly always, and then the same in each.
        body: bytes instanceof Uint8Array ? Buffer.from(bytes).toString('latin1') : String(body ?? ''),
        answer: String(answer ?? ''),
        isTheirs: theirs.has(delivery.ticketId ?? 0) || brought.has(delivery.id),
      })
      if (erasure === null) continue
      found.deliveries += 1
      if (!isDry) await transaction(pool, (client) => eraseDelivery(client, delivery.id, erasure))
    }
  }

  /** Reads it again, locked: whoever wrote to it meanwhile has committed. */
  async function eraseTicket(client: Client, id: number): Promise<void> {
    const [locked] = await query(client, `select ${TICKET} from tickets where id = $1 for update`, [id])
    if (locked === undefined) return
    const before = ticketRow(locked)
    const after = erasing.ticket(before)
    const entries = await query(client, `select id, ${ENTRY} from timeline where ticket_id = $1 order by id`, [id])
    const erased = entries.flatMap((row) => {
      const entry = erasing.entry(entryOf(row), before)
      return entry === null ? [] : [{ id: Number(row['id']), entry }]
    })
    found.timeline += erased.length
    const isTheirs = erasing.isOwn(before)
    // Across an escape of JSON something may look like the address and be none.
    const isSame = !isTheirs && !erasing.isNamed(before) && erased.length === 0
    if (isSame && ticketJson(ticketOf(before)) === ticketJson(ticketOf(after))) return
    found[isTheirs ? 'tickets' : 'mentions'] += 1
    if (isDry) return
    for (const one of erased) await saveEntry(client, one.id, one.entry)
    await saveTicket(client, after)
    const note = `insert into timeline (ticket_id, at, kind, actor, changes) values ($1, $2, 'erased', $3, '{}')`
    await query(client, note, [id, now, actor])
  }

  /** What triage made of the person's tickets, and whatever else mentions the address or leans on one of them. */
  async function eraseDecisions(theirs: ReadonlySet<number>): Promise<void> {
    const drop: number[] = []
    for await (const row of pages(pool, 'id, ticket_id, decision, seen', 'triage')) {
      const told = { ticketId: Number(row['ticket_id']), decision: String(row['decision']), seen: String(row['seen']) }
      if (erasing.isDecidedOn(told, theirs)) drop.push(Number(row['id']))
    }
    if (isDry) return
    await query(pool, 'delete from triage where id = any($1::bigint[])', [drop])
    await query(pool, 'delete from vectors where ticket_id = any($1::bigint[])', [[...theirs]])
  }

  async function eraseNames(table: 'api_keys' | 'sources', column: 'name' | 'settings'): Promise<number> {
    const rows = await query(pool, `select id, ${column} as text from ${table}`)
    const changed = rows.flatMap(({ id, text }) => {
      const after = column === 'name' ? erasing.name(String(text)) : erasing.settings(String(text))
      return after === text ? [] : [{ id, after }]
    })
    for (const { id, after } of isDry ? [] : changed) {
      await query(pool, `update ${table} set ${column} = $1 where id = $2`, [after, id])
    }
    return changed.length
  }

  /** What articles say of the person. */
  async function eraseArticles(): Promise<void> {
    for await (const row of pages(pool, `${ARTICLE}, body`, 'articles')) {
      const article = wholeArticleOf(row)
      const pieces = 'select id, heading, text, null as vector from chunks where article_id = $1 order by id'
      const erased = erasing.article({ article, chunks: (await query(pool, pieces, [article.id])).map(chunkOf) })
      if (erased === null) continue
      found.articles += 1
      if (!isDry) await transaction(pool, (client) => saveArticle(client, article.id, erased))
    }
    if (found.articles > 0 && !isDry) await tellArticles(tellerOf(pool))
  }

  const tickets = await findTickets()
  // First, because the tickets say which deliveries are the person's.
  await eraseDeliveries(tickets)
  const all = [...tickets.theirs, ...tickets.others]
  for (const [index, id] of all.entries()) {
    onProgress('erasing', index, all.length)
    await transaction(pool, (client) => eraseTicket(client, id))
  }
  await eraseDecisions(tickets.theirs)
  found.keys = await eraseNames('api_keys', 'name')
  found.sources = await eraseNames('sources', 'settings')
  await eraseArticles()
  return found
}

const ENTRY = 'actor, changes, comment, comment_key, fingerprint'

/** All rows of a table that are there now, a page at a time; `last` is the greatest id. */
async function* pages(
  pool: Pool,
  columns: string,
  table: 'tickets' | 'timeline' | 'deliveries' | 'triage' | 'articles',
) {
  // What arrives from now on belongs to after the erasure.
  const [newest] = await query(pool, `select coalesce(max(id), 0) as last from ${table}`)
  const last = Number(newest?.['last'])
  for (let after = 0; ;) {
    const text = `select ${columns} from ${table} where id > $1 and id <= $2 order by id limit ${PAGE}`
    const rows = await query(pool, text, [after, last])
    for (const row of rows) yield Object.assign(row, { last })
    after = Number(rows.at(-1)?.['id'] ?? last)
    if (rows.length < PAGE) return
  }
}

async function eraseDelivery(client: Client, id: number, erasure: DeliveryErasure): Promise<void> {
  if ('answer' in erasure) {
    await query(client, 'update deliveries set answer = $2 where id = $1', [id, erasure.answer])
    return
  }
  const { address, path, headers, bodySha256, requestId, idempotencyKey, reason } = ERASED
  await query(
    client,
    `update deliveries set address = $2, path = $3, headers = $4, body_sha256 = $5, request_id = $6,
       idempotency_key = $7, reason = $8, body = null, body_bytes = null, answer = null, salt = null, seal = $9
     where id = $1 and seal is null`,
    [id, address, path, headers, bodySha256, requestId, idempotencyKey, reason, erasure.seal],
  )
  // Hashes of what may be guessed.
  await query(
    client,
    `delete from delivery_keys k using deliveries d where d.id = $1 and k.node = d.node and k.delivery_id = d.id`,
    [id],
  )
}

async function saveEntry(client: Client, id: number, entry: EntryText): Promise<void> {
  await query(
    client,
    'update timeline set actor = $2, changes = $3, comment = $4, comment_key = $5, fingerprint = $6 where id = $1',
    [id, entry.actor, entry.changes, entry.comment, entry.comment_key && bounded(entry.comment_key), entry.fingerprint],
  )
}

async function saveArticle(
  client: Client,
  id: number,
  { columns, pieces }: NonNullable<ReturnType<typeof erasedArticle>>,
): Promise<void> {
  const { source, title, labels, sha256, size, words, body } = columns
  await query(
    client,
    `update articles set source = $2, title = $3, labels = $4, sha256 = $5, size = $6, words = ${WORDS('$7')}, body = $8
     where id = $1`,
    [id, source, title, labels, sha256, size, words, body],
  )
  for (const piece of pieces) {
    const text = 'update chunks set heading = $2, text = $3, model = null, vector = null where id = $1'
    await query(client, text, [piece.id, piece.heading, piece.text])
  }
}

async function saveTicket(client: Client, row: TicketRow): Promise<void> {
  const { platform, account, external_id: externalId, title, description, user_email: userEmail, user_id: userId } = row
  await query(
    client,
    `update tickets set title = $2, description = $3, category = $4, user_id = $5, user_email = $6, metadata = $7,
       platform = $8, account = $9, external_id = $10, identity = $11, fingerprint = $12, sender_said = $13,
       words = ${WORDS('$14')} where id = $1`,
    [
      row.id,
      title,
      description,
      row.category,
      userId,
      userEmail,
      row.metadata,
      platform,
      account,
      externalId,
      externalId === null ? null : identityHash(platform, account, externalId),
      row.fingerprint,
      row.sender_said,
      wordsOf({ title, description, userEmail, userId, externalId }),
    ],
  )
}
