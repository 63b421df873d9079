import type { AccuracyRow, TriageField } from '../core/decision.ts'
import { ask, type Pool } from './postgres-connect.ts'
import { accuracyOf, exampleOf } from './rows.ts'
import type { StoredVector, TriageStore } from './store.ts'

/** What is kept and asked about triage, but for what the rules write (postgres-writer.ts). */
export function createPostgresTriage(pool: Pool): Omit<TriageStore, 'decide' | 'judge'> {
  return {
    triageOf: async (ticketId) => {
      const [row] = await ask(pool, 'select decision from triage where ticket_id = $1 order by id desc limit 1', [
        ticketId,
      ])
      return row === undefined ? null : String(row['decision'])
    },
    newestVerdict: async () => {
      const [row] = await ask(pool, 'select coalesce(max(at), 0) as at from verdicts')
      return Number(row?.['at'])
    },
    setting: async (name) => {
      const [row] = await ask(pool, 'select value from settings where name = $1', [name])
      return row === undefined ? null : String(row['value'])
    },
    saveSetting: async (name, value) => {
      await ask(
        pool,
        `insert into settings (name, value, updated_at) values ($1, $2, $3)
         on conflict (name) do update set value = excluded.value, updated_at = excluded.updated_at`,
        [name, value, Date.now()],
      )
    },
    examples: async (field, first, last) => {
      const rows = await ask(pool, EXAMPLES[field], [first, last])
      return rows.map(exampleOf)
    },
    vectors: async (model, before, limit) => {
      const rows = await ask(
        pool,
        `select ticket_id, vector from vectors where model = $1 and ticket_id < $2 and length(vector) > 0
         order by ticket_id desc limit $3`,
        [model, before, limit],
      )
      return rows.map((row): StoredVector => {
        // A copy: the driver cuts rows out of a buffer that all of them share.
        const bytes = Uint8Array.from(row['vector'] as Uint8Array)
        return { ticketId: Number(row['ticket_id']), vector: new Int8Array(bytes.buffer) }
      })
    },
    unembedded: async (model, from, limit) => {
      const rows = await ask(
        pool,
        `select t.id, count(*) over () as count from tickets t left join vectors v on v.ticket_id = t.id and v.model = $1
         where t.id >= $2 and v.ticket_id is null order by t.id desc limit $3`,
        [model, from, limit],
      )
      return { count: Number(rows[0]?.['count'] ?? 0), tickets: rows.map((row) => Number(row['id'])) }
    },
    saveVectors: async (model, vectors) => {
      await ask(
        pool,
        `insert into vectors (ticket_id, model, vector)
         select ticket_id, $2, vector from unnest($1::bigint[], $3::bytea[]) v (ticket_id, vector)
         on conflict (ticket_id) do update set model = excluded.model, vector = excluded.vector`,
        [[...vectors.keys()], model, Array.from(vectors.values(), (vector) => Buffer.from(vector.buffer))],
      )
    },
    accuracy: async (since) => {
      const [category, priority] = await Promise.all([measured('category', since), measured('priority', since)])
      return [...category, ...priority]
    },
  }

  async function measured(field: TriageField, since: number): Promise<AccuracyRow[]> {
    const rows = await ask(pool, ACCURACY[field], [since])
    return rows.map((row) => accuracyOf(field, row))
  }
}

// As sqlite-triage.ts has them.
const examplesOf = (field: TriageField, bit: number) => `
  select t.id, t.title, t.description, coalesce(v.value, t.${field}) as value, v.value is not null as by_person,
    coalesce(v.at, (select max(at) from timeline where ticket_id = t.id and changes like '%"${field}":%'), t.created_at)
      as said_at
  from tickets t left join verdicts v on v.ticket_id = t.id and v.field = '${field}'
  where t.id between $1 and $2 and (v.value is not null or coalesce(t.unsaid, 0) & ${bit} = 0)
  order by t.id desc`
const EXAMPLES = { category: examplesOf('category', 1), priority: examplesOf('priority', 2) }

const accuracyFor = (field: TriageField) => `
  select v.value, to_char(date_trunc('week', to_timestamp(d.decided_at / 1000.0) at time zone 'UTC'), 'YYYY-MM-DD') as week,
    count(*) as tickets, count(*) filter (where d.${field} = v.value) as right,
    count(*) filter (where d.${field}_sure) as sure,
    count(*) filter (where d.${field}_sure and d.${field} = v.value) as sure_right
  from verdicts v
  join triage d on d.id = (
    select max(id) from triage where ticket_id = v.ticket_id and decided_at <= v.at and ${field} is not null)
  where v.field = '${field}' and v.at >= $1 group by 1, 2 order by 2, v.value collate "C"`
const ACCURACY = { category: accuracyFor('category'), priority: accuracyFor('priority') }
