import type { DatabaseSync, SQLInputValue } from 'node:sqlite'

export type Statements = ReturnType<typeof statements>

/** In the order of their numbers. */
export const MERGED_INTO = 'select id from tickets where merged_into = ? order by id'

/** What the writer says to the database, each statement prepared once. */
export function statements(db: DatabaseSync) {
  return {
    begin: db.prepare('begin immediate'),
    commit: db.prepare('commit'),
    rollback: db.prepare('rollback'),
    insertTicket: db.prepare(`
      insert into tickets (id, title, description, category, priority, status, user_id, user_email, metadata, platform,
        account, external_id, sent_updated_at, fingerprint, delivery_id, created_at, updated_at, resolved_at, unsaid)
      values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      on conflict (platform, account, external_id) where external_id is not null do nothing`),
    updateTicket: db.prepare(`
      update tickets set title = ?, description = ?, category = ?, priority = ?, status = ?, user_id = ?, user_email = ?,
        metadata = ?, sent_updated_at = ?, sender_said = ?, updated_at = ?, resolved_at = ?, unsaid = ?,
        merged_into = ?, merged_at = ?, own_status = ? where id = ?`),
    ticketById: db.prepare('select * from tickets where id = ?'),
    mergedInto: db.prepare(MERGED_INTO),
    ticketByIdentity: db.prepare('select * from tickets where platform = ? and account = ? and external_id = ?'),
    insertJob: db.prepare('insert into jobs (kind, ticket_id, run_at) values (?, ?, ?)'),
    insertTracedJob: db.prepare('insert into jobs (kind, ticket_id, run_at, payload) values (?, ?, ?, ?)'),
    insertDelivery: db.prepare(`
      insert into deliveries (id, received_at, source, address, method, path, headers, body, body_size, body_sha256,
        request_id, platform, idempotency_key, outcome, status, reason, ticket_id, duration_us, answer, salt, link,
        replay_of)
      values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      on conflict (source, idempotency_key) where idempotency_key is not null do nothing`),
    answer: db.prepare('select answer from deliveries where id = ?'),
    deliveryByKey: db.prepare(
      'select id, ticket_id, body_sha256, answer from deliveries where source = ? and idempotency_key = ?',
    ),
    playedBefore: db.prepare(
      'select id, ticket_id, answer from deliveries where id = ?1 or replay_of = ?1 order by id',
    ),
    otherEntries: db.prepare(`
      select 1 from timeline where ticket_id = ?1 and delivery_id is not null and delivery_id <> ?2
        and delivery_id not in (select id from deliveries where replay_of = ?2) limit 1`),
    amendDelivery: db.prepare(
      'update deliveries set outcome = ?, status = ?, reason = ?, ticket_id = ?, answer = ?, link = ? where id = ?',
    ),
    keepAnswer: db.prepare('update deliveries set answer = ? where id = ? and answer is null'),
    insertEntry: db.prepare(`
      insert into timeline (ticket_id, at, kind, actor, delivery_id, changes, fingerprint, comment, comment_key)
      values (?, ?, ?, ?, ?, ?, ?, ?, ?)`),
    entryByComment: db.prepare('select delivery_id from timeline where ticket_id = ? and comment_key = ?'),
    entryByFingerprint: db.prepare('select at, delivery_id from timeline where ticket_id = ? and fingerprint = ?'),
    forgetFingerprint: db.prepare('update timeline set fingerprint = null where ticket_id = ? and fingerprint = ?'),
    addDecision: db.prepare(`
      insert into triage (ticket_id, cause, decided_at, category, category_sure, priority, priority_sure, decision, seen)
      values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (ticket_id, cause) do nothing`),
    setVerdict: db.prepare(`
      insert into verdicts (ticket_id, field, value, at, actor) values (?, ?, ?, ?, ?)
      on conflict do update set value = excluded.value, at = excluded.at, actor = excluded.actor`),
    saveVector: db.prepare('insert or replace into vectors (ticket_id, model, vector) values (?, ?, ?)'),
    saveSetting: db.prepare('insert or replace into settings (name, value, updated_at) values (?, ?, ?)'),
    probe: db.prepare('update heartbeat set at = ?, filler = zeroblob(?)'),
    newestDelivery: db.prepare('select id, link from deliveries order by id desc limit 1'),
    linkOfDelivery: db.prepare('select link from deliveries where id = ?'),
    anchor: db.prepare('select link from audit_anchor'),
    moveAnchor: db.prepare('update audit_anchor set delivery_id = ?, link = ?'),
    oldest: db.prepare('select id, received_at from deliveries where id < ? order by id limit ?'),
    prune: db.prepare('delete from deliveries where id <= ?'),
  } satisfies Record<string, { run: (...values: SQLInputValue[]) => unknown }>
}
