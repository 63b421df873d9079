import type { DatabaseSync } from 'node:sqlite'

import { AppError } from '../core/errors.ts'
import { sourceOf } from './key-rows.ts'
import { openStore, prepareDirectory, storePath } from './sqlite-files.ts'
import { createWatch, type Watch } from './sqlite-watch.ts'
import { isDiskFault } from './sqlite-writer.ts'
import type { SourceStore } from './store.ts'

/** The sources of a store. Short commits of their own, because the command line changes them while the server runs. */
export function createSourceStore(db: DatabaseSync, watch: Watch): SourceStore {
  const sql = {
    all: db.prepare('select * from sources order by created_at, id'),
    // A deleted source gives its name back; one that is there keeps it.
    insert: db.prepare(`
      insert into sources (id, settings, secrets, created_at, updated_at) values (?, ?, ?, ?, ?)
      on conflict (id) do update set settings = excluded.settings, secrets = excluded.secrets,
        created_at = excluded.created_at, updated_at = excluded.updated_at, disabled_at = null, deleted_at = null
        where deleted_at is not null`),
    update: db.prepare(`
      update sources set settings = ?, secrets = ?, updated_at = ?, disabled_at = ?
      where id = ? and updated_at = ? and deleted_at is null`),
    remove: db.prepare(`
      update sources set settings = '{}', secrets = '[]', deleted_at = ? where id = ? and deleted_at is null`),
  }

  /** Runs one statement and tells of it; whether it changed a row. */
  async function change(run: () => { changes: number | bigint }): Promise<boolean> {
    try {
      const isChanged = Number(run().changes) === 1
      if (isChanged) watch.changed()
      return isChanged
    } catch (error) {
      if (!isDiskFault(error)) throw error
      throw new AppError('unavailable', `The store cannot commit: ${error instanceof Error ? error.message : ''}`)
    }
  }

  return {
    sources: async () => sql.all.all().map(sourceOf),
    addSource: ({ id, settings, secrets, createdAt }) =>
      change(() => sql.insert.run(id, JSON.stringify(settings), JSON.stringify(secrets), createdAt, createdAt)),
    updateSource: ({ id, settings, secrets, updatedAt, disabledAt }, seenAt) =>
      change(() =>
        sql.update.run(JSON.stringify(settings), JSON.stringify(secrets), updatedAt, disabledAt, id, seenAt),
      ),
    removeSource: (id, at) => change(() => sql.remove.run(at, id)),
    onSourcesChanged: watch.subscribe,
  }
}

/** The sources of a data directory, whether a server runs on it or not. Throws StoreError. */
export function openSqliteSources(directory: string): SourceStore & { close: () => void } {
  prepareDirectory(directory)
  const db = openStore(storePath(directory))
  return { ...createSourceStore(db, createWatch(db)), close: () => db.close() }
}
