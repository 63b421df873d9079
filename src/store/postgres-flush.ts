import type { NewDecision } from '../core/decision.ts'
import { DEFAULT_ATTEMPTS } from '../core/jobs.ts'
import { type Client, query } from './postgres-connect.ts'
import { bounded, column, identityHash, keyHash, storedBody, text } from './postgres-rows.ts'
import type { Written } from './postgres-tables.ts'
import type { Verdict } from './tables.ts'
import { WORDS, wordsOf } from './postgres-words.ts'
import type { TicketRow } from './rows.ts'

/**
 * Writes what a transaction came to: one statement a table, sent together. Locks are taken in the same order by
 * everybody: keys, then identities, each sorted, so that two nodes wait for each other only one way round. A key or
 * identity that another node was quicker with is a unique violation.
 */
export async function flush(client: Client, written: Written, node: string): Promise<void> {
  const { inserted, updated, deliveries, answers, entries, forgotten, jobs, decisions, verdicts } = written
  await Promise.all([
    forgotten.length > 0 && forget(client, forgotten),
    deliveries.length > 0 && insertKeys(client, written, node),
    inserted.size > 0 && insertTickets(client, [...inserted.values()]),
    updated.size > 0 && updateTickets(client, [...updated.values()]),
    deliveries.length > 0 && insertDeliveries(client, written, node),
    answers.size > 0 && keepAnswers(client, answers),
    entries.length > 0 && insertEntries(client, entries),
    jobs.length > 0 && addJobs(client, jobs),
    ...decisions.map((decision) => insertDecision(client, decision)),
    ...verdicts.map((verdict) => setVerdict(client, verdict)),
    deliveries.length > 0 && moveHead(client, written, node),
  ])
}

/** Before the entries: the same fingerprint may be among them. */
async function forget(client: Client, forgotten: Written['forgotten']): Promise<void> {
  await query(
    client,
    `update timeline t set fingerprint = null from unnest($1::bigint[], $2::text[]) f (ticket_id, fingerprint)
     where t.ticket_id = f.ticket_id and t.fingerprint = f.fingerprint`,
    [column(forgotten, (one) => one.ticketId), column(forgotten, (one) => bounded(one.fingerprint))],
  )
}

async function insertKeys(client: Client, { deliveries }: Written, node: string): Promise<void> {
  const keyed = deliveries
    .flatMap(({ entry }) =>
      entry.idempotencyKey === null ? [] : [{ ...entry, hash: keyHash(entry.source, entry.idempotencyKey) }],
    )
    .toSorted((a, b) => (a.hash < b.hash ? -1 : 1))
  if (keyed.length === 0) return
  await query(
    client,
    `insert into delivery_keys (hash, delivery_id, node, ticket_id, body_sha256)
     select hash, delivery_id, $5, ticket_id, body_sha256
     from unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[]) k (hash, delivery_id, ticket_id, body_sha256)`,
    [
      column(keyed, (one) => one.hash),
      column(keyed, (one) => one.id),
      column(keyed, (one) => one.ticketId),
      column(keyed, (one) => one.bodySha256),
      node,
    ],
  )
}

const identityOf = ({ platform, account, external_id: externalId }: TicketRow) =>
  externalId === null ? null : identityHash(platform, account, externalId)

const words = ({ title, description, user_email, user_id, external_id }: TicketRow) =>
  wordsOf({ title, description, userEmail: user_email, userId: user_id, externalId: external_id })

/** The columns that an update sets too, in the order in which both statements have them. */
const contentOf = (rows: readonly TicketRow[]) => [
  column(rows, (row) => row.id),
  column(rows, (row) => row.title),
  column(rows, (row) => row.description),
  column(rows, (row) => row.category),
  column(rows, (row) => row.priority),
  column(rows, (row) => row.status),
  column(rows, (row) => row.user_id),
  column(rows, (row) => row.user_email),
  column(rows, (row) => row.metadata),
  column(rows, (row) => row.sent_updated_at),
  column(rows, (row) => row.sender_said),
  column(rows, (row) => row.updated_at),
  column(rows, (row) => row.resolved_at),
  column(rows, words),
  column(rows, (row) => row.unsaid),
]

const CONTENT = `id, title, description, category, priority, status, user_id, user_email, metadata, sent_updated_at,
  sender_said, updated_at, resolved_at, words, unsaid`
const CONTENT_TYPES = `$1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
  $9::text[], $10::bigint[], $11::text[], $12::bigint[], $13::bigint[], $14::text[], $15::int[]`

async function insertTickets(client: Client, rows: readonly TicketRow[]): Promise<void> {
  const keyed = rows
    .map((row) => ({ row, identity: identityOf(row) }))
    .toSorted((a, b) => ((a.identity ?? '') < (b.identity ?? '') ? -1 : 1))
  const sorted = keyed.map(({ row }) => row)
  await query(
    client,
    `insert into tickets (id, title, description, category, priority, status, user_id, user_email, metadata,
       sent_updated_at, sender_said, updated_at, resolved_at, platform, account, external_id, identity, fingerprint,
       delivery_id, created_at, unsaid, words)
     select id, title, description, category, priority, status, user_id, user_email, metadata, sent_updated_at,
       sender_said, updated_at, resolved_at, platform, account, external_id, identity, fingerprint, delivery_id,
       created_at, unsaid, ${WORDS('t.words')}
     from unnest(${CONTENT_TYPES}, $16::text[], $17::text[], $18::text[], $19::text[], $20::text[], $21::bigint[],
       $22::bigint[]) t (${CONTENT}, platform, account, external_id, identity, fingerprint, delivery_id, created_at)`,
    [
      ...contentOf(sorted),
      column(sorted, (row) => row.platform),
      column(sorted, (row) => row.account),
      column(sorted, (row) => row.external_id),
      column(keyed, ({ identity }) => identity),
      column(sorted, (row) => row.fingerprint),
      column(sorted, (row) => row.delivery_id),
      column(sorted, (row) => row.created_at),
    ],
  )
}

async function updateTickets(client: Client, rows: readonly TicketRow[]): Promise<void> {
  await query(
    client,
    `update tickets set title = t.title, description = t.description, category = t.category, priority = t.priority,
       status = t.status, user_id = t.user_id, user_email = t.user_email, metadata = t.metadata,
       sent_updated_at = t.sent_updated_at, sender_said = t.sender_said, updated_at = t.updated_at,
       resolved_at = t.resolved_at, unsaid = t.unsaid, words = ${WORDS('t.words')}, merged_into = t.merged_into,
       merged_at = t.merged_at, own_status = t.own_status
     from unnest(${CONTENT_TYPES}, $16::bigint[], $17::bigint[], $18::text[])
       t (${CONTENT}, merged_into, merged_at, own_status) where tickets.id = t.id`,
    [
      ...contentOf(rows),
      column(rows, (row) => row.merged_into),
      column(rows, (row) => row.merged_at),
      column(rows, (row) => row.own_status),
    ],
  )
}

async function insertDeliveries(client: Client, { deliveries }: Written, node: string): Promise<void> {
  const rows = deliveries.map(({ entry, kept }) => ({ ...entry, ...kept, stored: storedBody(kept.body) }))
  await query(
    client,
    `insert into deliveries (id, received_at, source, address, method, path, headers, body, body_bytes, body_size,
       body_sha256, request_id, platform, idempotency_key, outcome, status, reason, ticket_id, duration_us, answer, salt,
       link, replay_of, node)
     select *, $24 from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
       $8::text[], $9::bytea[], $10::bigint[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
       $16::int[], $17::text[], $18::bigint[], $19::bigint[], $20::text[], $21::text[], $22::text[], $23::bigint[])`,
    [
      column(rows, (row) => row.id),
      column(rows, (row) => row.receivedAt),
      column(rows, (row) => row.source),
      column(rows, (row) => row.address),
      column(rows, (row) => row.method),
      column(rows, (row) => row.path),
      column(rows, (row) => row.headers),
      column(rows, (row) => row.stored.body),
      column(rows, (row) => row.stored.bytes),
      column(rows, (row) => row.bodySize),
      column(rows, (row) => row.bodySha256),
      column(rows, (row) => row.requestId),
      column(rows, (row) => row.platform),
      column(rows, (row) => row.idempotencyKey),
      column(rows, (row) => row.outcome),
      column(rows, (row) => row.status),
      column(rows, (row) => row.reason),
      column(rows, (row) => row.ticketId),
      column(rows, (row) => row.durationUs),
      column(rows, (row) => row.answer),
      column(rows, (row) => row.salt),
      column(rows, (row) => row.link),
      column(rows, (row) => row.replayOf),
      node,
    ],
  )
}

async function keepAnswers(client: Client, answers: Written['answers']): Promise<void> {
  await query(
    client,
    `update deliveries d set answer = a.answer from unnest($1::bigint[], $2::text[]) a (id, answer)
     where d.id = a.id and d.answer is null`,
    [[...answers.keys()], [...answers.values()]],
  )
}

async function insertEntries(client: Client, entries: Written['entries']): Promise<void> {
  await query(
    client,
    `insert into timeline (ticket_id, at, kind, actor, delivery_id, changes, fingerprint, comment, comment_key)
     select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[],
       $8::text[], $9::text[])`,
    [
      column(entries, (entry) => entry.ticketId),
      column(entries, (entry) => entry.at),
      column(entries, (entry) => entry.kind),
      column(entries, (entry) => text(entry.actor)),
      column(entries, (entry) => entry.deliveryId),
      column(entries, (entry) => JSON.stringify(entry.changes)),
      column(entries, (entry) => entry.fingerprint && bounded(entry.fingerprint)),
      column(entries, (entry) => (entry.comment === null ? null : JSON.stringify(entry.comment))),
      column(entries, (entry) => entry.commentKey && bounded(entry.commentKey)),
    ],
  )
}

async function insertDecision(client: Client, { ticketId, cause, at, decision, seen }: NewDecision): Promise<void> {
  const { category, priority } = decision
  await query(
    client,
    `insert into triage (ticket_id, cause, decided_at, category, category_sure, priority, priority_sure, decision, seen)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [
      ticketId,
      bounded(cause),
      at,
      category?.value ?? null,
      category?.is_sure ?? false,
      priority?.value ?? null,
      priority?.is_sure ?? false,
      JSON.stringify(decision),
      seen,
    ],
  )
}

async function setVerdict(client: Client, { ticketId, field, value, at, actor }: Verdict): Promise<void> {
  await query(
    client,
    `insert into verdicts (ticket_id, field, value, at, actor) values ($1, $2, $3, $4, $5)
     on conflict (ticket_id, field) do update set value = excluded.value, at = excluded.at, actor = excluded.actor`,
    [ticketId, field, value, at, actor],
  )
}

/** All in one call: it is the ticket's own transaction, so a ticket has its job or neither is there. */
async function addJobs(client: Client, payloads: Written['jobs']): Promise<void> {
  await query(
    client,
    `select count(*) from graphile_worker.add_jobs(array(
       select ('triage', payload, null, null, $2, null, null, null)::graphile_worker.job_spec
       from unnest($1::json[]) payload))`,
    [payloads.map((payload) => JSON.stringify(payload)), DEFAULT_ATTEMPTS],
  )
}

async function moveHead(client: Client, { deliveries }: Written, node: string): Promise<void> {
  const newest = deliveries.at(-1)
  await query(client, 'update nodes set newest_delivery = $2, newest_link = $3 where id = $1', [
    node,
    newest?.entry.id,
    newest?.kept.link,
  ])
}
