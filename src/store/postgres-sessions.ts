import { sessionOf } from './key-rows.ts'
import type { Bus } from './postgres-bus.ts'
import { ask, type Pool } from './postgres-connect.ts'
import type { SessionStore } from './key-store.ts'

const ENDED = 'session'

/** Who is signed in, at whatever node. */
export function createPostgresSessions(pool: Pool, bus: Pick<Bus, 'publish' | 'subscribe'>): SessionStore {
  return {
    addSession: async ({ hash, keyId, bond, createdAt, seenAt, expiresAt }, atMost) => {
      const gone = await ask(
        pool,
        `with made as (
           insert into sessions (hash, key_id, bond, created_at, seen_at, expires_at) values ($1, $2, $3, $4, $5, $6))
         delete from sessions where hash in (
           select hash from sessions where key_id = $2 order by created_at desc, hash offset $7)
         returning 1`,
        [hash, keyId, bond, createdAt, seenAt, expiresAt, atMost - 1],
      )
      if (gone.length > 0) await bus.publish(ENDED)
    },
    session: async (hash) => {
      const [row] = await ask(pool, 'select * from sessions where hash = $1', [hash])
      return row === undefined ? null : sessionOf(row)
    },
    endSession: async (hash) => {
      const gone = await ask(pool, 'delete from sessions where hash = $1 returning 1', [hash])
      if (gone.length > 0) await bus.publish(ENDED)
    },
    noteSeen: async (seen) => {
      if (seen.size === 0) return
      await ask(
        pool,
        `update sessions s set seen_at = greatest(s.seen_at, u.at)
         from unnest($1::text[], $2::bigint[]) u (hash, at) where s.hash = u.hash`,
        [[...seen.keys()], [...seen.values()]],
      )
    },
    sweepSessions: async (now) =>
      (await ask(pool, 'delete from sessions where expires_at <= $1 returning 1', [now])).length,
    onSessionsEnded: (listener) => bus.subscribe(ENDED, listener),
  }
}
