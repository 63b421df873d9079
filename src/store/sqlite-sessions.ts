import type { DatabaseSync } from 'node:sqlite'

import { sessionOf } from './key-rows.ts'
import type { SessionStore } from './key-store.ts'
import { inTransaction } from './sqlite-files.ts'

type Run = <T>(work: () => T) => Promise<T>

/** Who is signed in. `durably` runs what writes and `readably` what reads; both reject as SessionStore says. */
export function createSqliteSessions(
  db: DatabaseSync,
  { durably, readably }: { durably: Run; readably: Run },
): SessionStore {
  const sql = {
    insert: db.prepare(
      'insert into sessions (hash, key_id, bond, created_at, seen_at, expires_at) values (?, ?, ?, ?, ?, ?)',
    ),
    crowded: db.prepare(`
      delete from sessions where hash in (
        select hash from sessions where key_id = ? order by created_at desc, hash limit -1 offset ?)`),
    find: db.prepare('select * from sessions where hash = ?'),
    end: db.prepare('delete from sessions where hash = ?'),
    seen: db.prepare('update sessions set seen_at = max(seen_at, ?) where hash = ?'),
    sweep: db.prepare('delete from sessions where expires_at <= ?'),
  }
  const listeners = new Set<() => void>()
  const tell = () => listeners.forEach((listener) => listener())

  return {
    addSession: async ({ hash, keyId, bond, createdAt, seenAt, expiresAt }, atMost) => {
      const gone = await durably(() =>
        inTransaction(db, () => {
          const { changes } = sql.crowded.run(keyId, atMost - 1)
          sql.insert.run(hash, keyId, bond, createdAt, seenAt, expiresAt)
          return Number(changes)
        }),
      )
      if (gone > 0) tell()
    },
    session: (hash) =>
      readably(() => {
        const row = sql.find.get(hash)
        return row === undefined ? null : sessionOf(row)
      }),
    endSession: async (hash) => {
      const { changes } = await durably(() => sql.end.run(hash))
      if (changes > 0) tell()
    },
    noteSeen: async (seen) => {
      if (seen.size === 0) return
      await durably(() =>
        inTransaction(db, () => {
          for (const [hash, at] of seen) sql.seen.run(at, hash)
        }),
      )
    },
    sweepSessions: async (now) => Number((await durably(() => sql.sweep.run(now))).changes),
    onSessionsEnded: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}
