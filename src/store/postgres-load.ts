import type { StoredDraft } from '../core/merge.ts'
import { type Client, query, type Row } from './postgres-connect.ts'
import {
  bounded,
  entryKey,
  identityHash,
  keyHash,
  type Loaded,
  type Played,
  playedOf,
  TICKET,
  ticketRows,
} from './postgres-rows.ts'
import { numberOrNull, textOrNull, type TicketRow } from './rows.ts'
import type { Submission } from './store.ts'
import { ticketsIn } from './submissions.ts'
import { commentKey } from './tickets.ts'

/** What a group of submissions may touch, as far as they say. */
export type Scope = {
  keys: string[]
  identities: string[]
  /** Replayed deliveries. */
  origins: number[]
  fingerprints: string[]
  comments: string[]
  /** How many tickets they make at most. */
  tickets: number
}

export function scopeOf(group: readonly Submission[]): Scope {
  const keys = new Set<string>()
  const identities = new Set<string>()
  const origins = new Set<number>()
  const fingerprints = new Set<string>()
  const comments = new Set<string>()
  const makers = new Set<string>()

  const addDraft = (draft: StoredDraft, fingerprint: string, key: string | null) => {
    const { platform, account, externalId, event } = draft
    const own = externalId === null ? null : identityHash(platform, account, externalId)
    if (own !== null) {
      identities.add(own)
      fingerprints.add(fingerprint)
    }
    for (const id of event?.reply?.to ?? []) {
      identities.add(identityHash(platform, account, id))
      fingerprints.add(fingerprint)
    }
    for (const comment of [event?.comment, event?.reply?.comment]) {
      const found = commentKey(comment ?? null)
      if (found !== null) comments.add(bounded(found))
    }
    makers.add(own ?? key ?? `${makers.size}`)
  }

  for (const submission of group) {
    const { delivery } = submission
    const key = delivery.idempotencyKey === null ? null : keyHash(delivery.source, delivery.idempotencyKey)
    if (key !== null) keys.add(key)
    if (delivery.replayOf !== null) origins.add(delivery.replayOf)
    if (submission.kind === 'ticket') {
      addDraft(submission.draft, delivery.fingerprint ?? delivery.bodySha256, key)
    }
    for (const [index, item] of submission.kind === 'batch' ? submission.items.entries() : []) {
      if ('draft' in item) addDraft(item.draft, item.fingerprint, key === null ? null : `${key} ${index}`)
    }
  }
  return {
    keys: [...keys],
    identities: [...identities],
    origins: [...origins].toSorted((a, b) => a - b),
    fingerprints: [...fingerprints],
    comments: [...comments],
    tickets: makers.size,
  }
}

/** Locks the rows of tickets, always in the same order, and reads them as they then are. */
export async function lockTickets(client: Client, ids: readonly number[]): Promise<TicketRow[]> {
  if (ids.length === 0) return []
  return ticketRows(
    await query(client, `select ${TICKET} from tickets where id = any($1::bigint[]) order by id for update`, [ids]),
  )
}

export const NOTHING: Loaded = {
  tickets: [],
  keys: new Map(),
  answers: new Map(),
  fingerprints: new Map(),
  comments: new Set(),
  played: new Map(),
  told: new Map(),
  merged: new Map(),
  causes: new Set(),
  ticketIds: [],
  deliveryIds: [],
}

/** What is there of whatever the group may touch, and locked: its tickets until the transaction ends. */
export async function load(client: Client, scope: Scope): Promise<Omit<Loaded, 'ticketIds' | 'deliveryIds'>> {
  const [, played, keys, tickets] = await Promise.all([
    lockOrigins(client, scope.origins),
    loadPlayed(client, scope.origins),
    loadKeys(client, scope.keys),
    lockNamed(client, scope),
  ])
  const locked = new Set(tickets.map(({ id }) => id))
  const replayed = [...played.values()].flat().flatMap(({ ticketId, answer }) => ticketId ?? ticketsOf(answer))
  tickets.push(
    ...(await lockTickets(
      client,
      [...new Set(replayed)].filter((id) => !locked.has(id)),
    )),
  )
  if (tickets.length === 0 && keys.size === 0) return { ...NOTHING, played }
  const ids = tickets.map(({ id }) => id)
  // What comes for a merged ticket is told to the one that stands for it.
  const heads = new Set(tickets.flatMap(({ merged_into: into }) => into ?? [])).difference(new Set(ids))
  tickets.push(...(await lockTickets(client, [...heads])))
  const [fingerprints, comments, told, answers] = await Promise.all([
    loadFingerprints(client, ids, scope.fingerprints),
    loadComments(client, ids, scope.comments),
    scope.origins.length === 0 ? new Map<number, number[]>() : loadTold(client, ids),
    loadAnswers(
      client,
      [...keys.values()].map(({ id }) => id),
      ids,
      scope.fingerprints,
    ),
  ])
  return { ...NOTHING, tickets, keys, answers, fingerprints, comments, played, told }
}

const ticketsOf = (answer: string | null) => ticketsIn(answer).map(([, ticketId]) => ticketId)

/** Two nodes that play the same delivery again make one ticket of it: one waits for the other. */
async function lockOrigins(client: Client, origins: readonly number[]): Promise<void> {
  if (origins.length === 0) return
  await query(
    client,
    `select pg_advisory_xact_lock(hashtextextended('replay ' || id, 0)) from unnest($1::bigint[]) id`,
    [origins],
  )
}

async function loadPlayed(client: Client, origins: readonly number[]): Promise<Map<number, Played[]>> {
  if (origins.length === 0) return new Map()
  const rows = await query(
    client,
    `select id, ticket_id, answer, coalesce(replay_of, id) as origin from deliveries where replay_of = any($1::bigint[])
     union all
     select id, ticket_id, answer, id as origin from deliveries where id = any($1::bigint[])
     order by id`,
    [origins],
  )
  const played = new Map<number, Played[]>()
  for (const row of rows) {
    const origin = Number(row['origin'])
    played.set(origin, [...(played.get(origin) ?? []), playedOf(row)])
  }
  return played
}

async function loadKeys(client: Client, hashes: readonly string[]): Promise<Map<string, KeyRow>> {
  if (hashes.length === 0) return new Map()
  const rows = await query(
    client,
    'select hash, delivery_id, ticket_id, body_sha256 from delivery_keys where hash = any($1::text[])',
    [hashes],
  )
  return new Map(rows.map((row) => [String(row['hash']), keyOf(row)]))
}

type KeyRow = { id: number; ticketId: number | null; bodySha256: string }
const keyOf = (row: Row): KeyRow => ({
  id: Number(row['delivery_id']),
  ticketId: numberOrNull(row['ticket_id']),
  bodySha256: String(row['body_sha256']),
})

/** The tickets of these identities, and those that the deliveries of these keys made. */
async function lockNamed(client: Client, { identities, keys }: Scope): Promise<TicketRow[]> {
  if (identities.length + keys.length === 0) return []
  return ticketRows(
    await query(
      client,
      `select ${TICKET} from tickets where id = any(array(
         select id from tickets where identity = any($1::text[])
         union select ticket_id from delivery_keys where hash = any($2::text[]) and ticket_id is not null))
       order by id for update`,
      [identities, keys],
    ),
  )
}

async function loadFingerprints(client: Client, tickets: readonly number[], fingerprints: readonly string[]) {
  const found = new Map<string, { at: number; deliveryId: number }>()
  if (tickets.length === 0 || fingerprints.length === 0) return found
  const rows = await query(
    client,
    `select ticket_id, fingerprint, at, delivery_id from timeline
     where ticket_id = any($1::bigint[]) and fingerprint = any($2::text[])`,
    [tickets, fingerprints.map(bounded)],
  )
  for (const row of rows) {
    const entry = { at: Number(row['at']), deliveryId: Number(row['delivery_id']) }
    found.set(entryKey(Number(row['ticket_id']), String(row['fingerprint'])), entry)
  }
  return found
}

async function loadComments(client: Client, tickets: readonly number[], comments: readonly string[]) {
  if (tickets.length === 0 || comments.length === 0) return new Set<string>()
  const rows = await query(
    client,
    `select ticket_id, comment_key from timeline
     where ticket_id = any($1::bigint[]) and comment_key = any($2::text[])`,
    [tickets, comments],
  )
  return new Set(rows.map((row) => entryKey(Number(row['ticket_id']), String(row['comment_key']))))
}

async function loadTold(client: Client, tickets: readonly number[]): Promise<Map<number, number[]>> {
  const rows = await query(
    client,
    `select ticket_id, array_agg(distinct delivery_id) as deliveries from timeline
     where ticket_id = any($1::bigint[]) and delivery_id is not null group by ticket_id`,
    [tickets],
  )
  return new Map(rows.map((row) => [Number(row['ticket_id']), (row['deliveries'] as unknown[]).map(Number)]))
}

/** Read under the locks of the tickets: an answer is filled in by whoever changes its ticket first. */
async function loadAnswers(
  client: Client,
  keyed: readonly number[],
  tickets: readonly number[],
  fingerprints: readonly string[],
): Promise<Map<number, string | null>> {
  const rows = await query(
    client,
    `select id, answer from deliveries where id = any(array(
       select unnest($1::bigint[])
       union select delivery_id from tickets where id = any($2::bigint[]) and fingerprint = any($4::text[])
       union select delivery_id from timeline
         where ticket_id = any($2::bigint[]) and fingerprint = any($3::text[]) and delivery_id is not null))`,
    [keyed, tickets, fingerprints.map(bounded), fingerprints],
  )
  return new Map(rows.map((row) => [Number(row['id']), textOrNull(row['answer'])]))
}

/** What is merged into these tickets, which are locked: nobody else merges into them, or out of them, until the commit. */
export async function loadMerged(client: Client, tickets: number[]): Promise<Pick<Loaded, 'merged'>> {
  const rows = await query(
    client,
    'select merged_into, id from tickets where merged_into = any($1::bigint[]) order by id',
    [tickets],
  )
  const merged = new Map<number, number[]>()
  for (const row of rows) {
    const into = Number(row['merged_into'])
    merged.set(into, [...(merged.get(into) ?? []), Number(row['id'])])
  }
  return { merged }
}

/** The causes that are decided of these tickets, which are locked. */
export async function loadCauses(client: Client, tickets: number[]): Promise<{ causes: ReadonlySet<string> }> {
  const rows = await query(client, 'select ticket_id, cause from triage where ticket_id = any($1::bigint[])', [tickets])
  return { causes: new Set(rows.map((row) => entryKey(Number(row['ticket_id']), String(row['cause'])))) }
}
