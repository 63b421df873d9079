import { ask, type Pool } from './postgres-connect.ts'
import type { RhythmStore } from './store.ts'

/** As sqlite-rhythms.ts has it. */
const LOOK_BACK = 1000

/** When sources are heard. */
export function createPostgresRhythms(pool: Pool): RhythmStore {
  return {
    lastHeard: async (sources) => {
      const rows = await ask(
        pool,
        `select source, received_at from unnest($1::text[]) source, lateral (
           select received_at from (
             select received_at, outcome from deliveries
             where deliveries.source = source.source and source not like 'key:%' and source not in ('open', 'unknown')
             order by id desc limit ${LOOK_BACK}) newest
           where outcome <> 'rejected' limit 1) heard`,
        [sources],
      )
      return new Map(rows.map((row) => [String(row['source']), Number(row['received_at'])]))
    },
    rhythms: async () =>
      new Map(
        (await ask(pool, 'select source, rhythm from rhythms')).map((row) => [
          String(row['source']),
          String(row['rhythm']),
        ]),
      ),
    saveRhythms: async (rhythms) => {
      await ask(
        pool,
        `insert into rhythms (source, rhythm) select * from unnest($1::text[], $2::text[])
         on conflict (source) do update set rhythm = excluded.rhythm`,
        [[...rhythms.keys()], [...rhythms.values()]],
      )
      await ask(pool, 'delete from rhythms where source not in (select id from sources where deleted_at is null)')
    },
  }
}
