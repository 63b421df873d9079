import type { DatabaseSync } from 'node:sqlite'

import type { AccuracyRow, TriageField } from '../core/decision.ts'
import { accuracyOf, exampleOf } from './rows.ts'
import { openToRead } from './sqlite-beside.ts'
import type { Example, History, StoredVector } from './store.ts'

/** What is asked about triage, on the reading connection. */
export function triageQueries(db: DatabaseSync) {
  const sql = {
    decision: db.prepare('select decision from triage where ticket_id = ? order by id desc limit 1'),
    newestVerdict: db.prepare('select coalesce(max(at), 0) as at from verdicts'),
    setting: db.prepare('select value from settings where name = ?'),
    // What people say counts first, then what the sender said. What nobody said is no example.
    examples: {
      category: db.prepare(examplesOf('category', 1)),
      priority: db.prepare(examplesOf('priority', 2)),
    },
    vectors: db.prepare(`
      select ticket_id, vector from vectors where model = ? and ticket_id < ? and length(vector) > 0
      order by ticket_id desc limit ?`),
    unembedded: db.prepare(`
      select t.id, count(*) over () as count from tickets t left join vectors v on v.ticket_id = t.id and v.model = ?
      where t.id >= ? and v.ticket_id is null order by t.id desc limit ?`),
    // Against the last decision before the verdict: what somebody saw who then said what it is.
    accuracy: {
      category: db.prepare(accuracyFor('category')),
      priority: db.prepare(accuracyFor('priority')),
    },
  }

  return {
    triageOf: (ticketId: number): string | null => {
      const row = sql.decision.get(ticketId)
      return row === undefined ? null : String(row['decision'])
    },
    newestVerdict: (): number => Number(sql.newestVerdict.get()?.['at']),
    setting: (name: string): string | null => {
      const row = sql.setting.get(name)
      return row === undefined ? null : String(row['value'])
    },
    examples: (field: TriageField, first: number, last: number): Example[] =>
      sql.examples[field].all(first, last).map(exampleOf),
    vectors: (model: string, before: number, limit: number): StoredVector[] =>
      sql.vectors.all(model, before, limit).map((row) => {
        const bytes = row['vector'] as Uint8Array // the writer binds nothing else
        return {
          ticketId: Number(row['ticket_id']),
          vector: new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength),
        }
      }),
    unembedded: (model: string, from: number, limit: number) => {
      const rows = sql.unembedded.all(model, from, limit)
      return { count: Number(rows[0]?.['count'] ?? 0), tickets: rows.map((row) => Number(row['id'])) }
    },
    accuracy: (since: number): AccuracyRow[] =>
      (['category', 'priority'] as const).flatMap((field) =>
        sql.accuracy[field].all(since).map((row) => accuracyOf(field, row)),
      ),
  }
}

// A sender says it with the ticket, or when its timeline says so last.
const examplesOf = (field: TriageField, bit: number) => `
  select t.id, t.title, t.description, coalesce(v.value, t.${field}) as value, v.value is not null as by_person,
    coalesce(v.at, (select max(at) from timeline where ticket_id = t.id and changes like '%"${field}":%'), t.created_at)
      as said_at
  from tickets t left join verdicts v on v.ticket_id = t.id and v.field = '${field}'
  where t.id between ? and ? and (v.value is not null or coalesce(t.unsaid, 0) & ${bit} = 0)
  order by t.id desc`

const accuracyFor = (field: TriageField) => `
  select v.value, date(d.decided_at / 1000, 'unixepoch', 'weekday 0', '-6 days') as week, count(*) as tickets,
    sum(d.${field} = v.value) as right, sum(d.${field}_sure) as sure, sum(d.${field}_sure and d.${field} = v.value) as sure_right
  from verdicts v
  join triage d on d.id = (
    select max(id) from triage where ticket_id = v.ticket_id and decided_at <= v.at and ${field} is not null)
  where v.field = '${field}' and v.at >= ? group by 1, 2 order by 2, 1`

/** The schema whose columns are read here: so many migrations. */
const TRIAGE_SCHEMA = 8

/** Opens what there is to learn from in the store of `directory`, also beside a server. Throws StoreError. */
export function openHistory(directory: string): History {
  const { queries, asked, close } = openToRead(directory, TRIAGE_SCHEMA, historyQueries)
  return {
    newestTicket: async () => asked(() => Number(queries.newest.get()?.['id'])),
    examples: async (field, first, last) => asked(() => queries.examples(field, first, last)),
    vectors: async (model, before, limit) => asked(() => queries.vectors(model, before, limit)),
    setting: async (name) => asked(() => queries.setting(name)),
    close: async () => close(),
  }
}

const historyQueries = (db: DatabaseSync) => ({
  ...triageQueries(db),
  newest: db.prepare('select coalesce(max(id), 0) as id from tickets'),
})
