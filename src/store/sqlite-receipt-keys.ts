import type { DatabaseSync } from 'node:sqlite'

import { receiptKeyOf } from './key-rows.ts'
import { openStore, prepareDirectory, storePath } from './sqlite-files.ts'
import { createWatch, type Watch } from './sqlite-watch.ts'
import { RECEIPT_KEYS, type ReceiptKeyStore } from './key-store.ts'

/** The public keys of receipts. Short commits of their own, because the command line withdraws one while the server runs. */
export function createReceiptKeys(db: DatabaseSync, watch: Watch): ReceiptKeyStore {
  const sql = {
    all: db.prepare(`select * from receipt_keys order by first_seen_at desc, key_id limit ${RECEIPT_KEYS}`),
    insert: db.prepare(
      `insert into receipt_keys (key_id, node, public_key, first_seen_at) values (?, '', ?, ?) on conflict do nothing`,
    ),
    remove: db.prepare('delete from receipt_keys where key_id = ?'),
  }
  const told = (changes: number | bigint) => {
    if (changes > 0) watch.changed()
    return changes > 0
  }
  return {
    publishReceiptKeys: async (keys) => {
      for (const { keyId, publicKey, firstSeenAt } of keys) {
        told(sql.insert.run(keyId, publicKey, firstSeenAt).changes)
      }
    },
    receiptKeys: async () => sql.all.all().map(receiptKeyOf),
    withdrawReceiptKey: async (keyId) => told(sql.remove.run(keyId).changes),
    onReceiptKeysChanged: watch.subscribe,
  }
}

/** Of a data directory, whether a server runs on it or not. Throws StoreError. */
export function openSqliteReceiptKeys(directory: string): ReceiptKeyStore & { close: () => void } {
  prepareDirectory(directory)
  const db = openStore(storePath(directory))
  return { ...createReceiptKeys(db, createWatch(db)), close: () => db.close() }
}
