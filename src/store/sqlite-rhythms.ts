import type { DatabaseSync } from 'node:sqlite'

import { inTransaction, openStore, prepareDirectory, storePath } from './sqlite-files.ts'
import type { RhythmStore } from './store.ts'

/** Of a flood of forged deliveries no more is looked at; what was heard before them is remembered anyway. */
const LOOK_BACK = 1000

/** When sources are heard. Short commits of their own. */
export function createRhythms(db: DatabaseSync): RhythmStore {
  const sql = {
    // The condition is that of the index deliveries_source, or it is not used.
    heard: db.prepare(`
      select received_at from (
        select received_at, outcome from deliveries
        where source = ? and source not glob 'key:*' and source not in ('open', 'unknown')
        order by id desc limit ${LOOK_BACK})
      where outcome <> 'rejected' limit 1`),
    all: db.prepare('select source, rhythm from rhythms'),
    save: db.prepare(
      'insert into rhythms (source, rhythm) values (?, ?) on conflict (source) do update set rhythm = excluded.rhythm',
    ),
    prune: db.prepare('delete from rhythms where source not in (select id from sources where deleted_at is null)'),
  }

  return {
    lastHeard: async (sources) =>
      new Map(
        sources.flatMap((source) => {
          const row = sql.heard.get(source)
          return row === undefined ? [] : [[source, Number(row['received_at'])] as const]
        }),
      ),
    rhythms: async () => new Map(sql.all.all().map((row) => [String(row['source']), String(row['rhythm'])])),
    saveRhythms: async (rhythms) => {
      inTransaction(db, () => {
        for (const [source, rhythm] of rhythms) sql.save.run(source, rhythm)
        sql.prune.run()
      })
    },
  }
}

/** Of a data directory, whether a server runs on it or not. Throws StoreError. */
export function openSqliteRhythms(directory: string): RhythmStore & { close: () => void } {
  prepareDirectory(directory)
  const db = openStore(storePath(directory))
  return { ...createRhythms(db), close: () => db.close() }
}
