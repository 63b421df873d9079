import type { DatabaseSync } from 'node:sqlite'

import { keyOf } from './key-rows.ts'
import { inTransaction, openStore, prepareDirectory, storePath } from './sqlite-files.ts'
import { createWatch, type Watch } from './sqlite-watch.ts'
import type { KeyStore } from './key-store.ts'

/** The API keys of a store. Short commits of their own, because the command line makes keys while the server runs. */
export function createKeys(db: DatabaseSync, watch: Watch): KeyStore {
  const sql = {
    all: db.prepare('select * from api_keys order by created_at, id'),
    insert: db.prepare(
      'insert into api_keys (id, hash, name, scopes, rate, created_at, expires_at) values (?, ?, ?, ?, ?, ?, ?)',
    ),
    revoke: db.prepare('update api_keys set revoked_at = ? where id = ? and revoked_at is null'),
    used: db.prepare('update api_keys set last_used_at = ? where id = ?'),
  }

  return {
    keys: async () => sql.all.all().map(keyOf),
    addKey: async ({ id, hash, name, scopes, rate, createdAt, expiresAt }) => {
      sql.insert.run(id, hash, name, scopes.join(' '), rate, createdAt, expiresAt)
      watch.changed()
    },
    revokeKey: async (id, at) => {
      const { changes } = sql.revoke.run(at, id)
      if (changes === 1) watch.changed()
      return changes === 1
    },
    noteUse: async (uses) => {
      if (uses.size === 0) return
      inTransaction(db, () => {
        for (const [id, at] of uses) sql.used.run(at, id)
      })
    },
    onKeysChanged: watch.subscribe,
  }
}

/** The keys of a data directory, whether a server runs on it or not. Throws StoreError. */
export function openSqliteKeys(directory: string): KeyStore & { close: () => void } {
  prepareDirectory(directory)
  const db = openStore(storePath(directory))
  return { ...createKeys(db, createWatch(db)), close: () => db.close() }
}
