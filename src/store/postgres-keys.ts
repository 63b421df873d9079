import { keyOf, sourceOf } from './key-rows.ts'
import type { Bus } from './postgres-bus.ts'
import { ask, type Pool, type Row } from './postgres-connect.ts'
import type { KeyStore } from './key-store.ts'
import type { SourceStore } from './store.ts'

/** What a process tells the others of that are on the same database. */
type Teller = Pick<Bus, 'publish' | 'subscribe'>

const CHANGED = 'access'

/** Runs one statement that changes keys or sources, and tells of it; how many rows it changed. */
async function change(pool: Pool, bus: Teller, statement: { text: string; values: unknown[] }): Promise<number> {
  const rows: Row[] = await ask(pool, `${statement.text} returning 1`, statement.values)
  if (rows.length > 0) await bus.publish(CHANGED)
  return rows.length
}

/** The API keys of a database. */
export function createPostgresKeys(pool: Pool, bus: Teller): KeyStore {
  return {
    keys: async () => (await ask(pool, 'select * from api_keys order by created_at, id')).map(keyOf),
    addKey: async ({ id, hash, name, scopes, rate, createdAt, expiresAt }) => {
      await change(pool, bus, {
        text: `insert into api_keys (id, hash, name, scopes, rate, created_at, expires_at)
          values ($1, $2, $3, $4, $5, $6, $7)`,
        values: [id, hash, name, scopes.join(' '), rate, createdAt, expiresAt],
      })
    },
    revokeKey: async (id, at) =>
      (await change(pool, bus, {
        text: 'update api_keys set revoked_at = $1 where id = $2 and revoked_at is null',
        values: [at, id],
      })) === 1,
    noteUse: async (uses) => {
      if (uses.size === 0) return
      await ask(
        pool,
        `update api_keys k set last_used_at = greatest(k.last_used_at, u.at)
         from unnest($1::text[], $2::bigint[]) u (id, at) where k.id = u.id`,
        [[...uses.keys()], [...uses.values()]],
      )
    },
    onKeysChanged: (listener) => bus.subscribe(CHANGED, listener),
  }
}

/** The registered senders of a database. */
export function createPostgresSources(pool: Pool, bus: Teller): SourceStore {
  return {
    sources: async () => (await ask(pool, 'select * from sources order by created_at, id')).map(sourceOf),
    addSource: async ({ id, settings, secrets, createdAt }) =>
      (await change(pool, bus, {
        // A deleted source gives its name back; one that is there keeps it.
        text: `insert into sources as s (id, settings, secrets, created_at, updated_at) values ($1, $2, $3, $4, $4)
          on conflict (id) do update set settings = excluded.settings, secrets = excluded.secrets,
            created_at = excluded.created_at, updated_at = excluded.updated_at, disabled_at = null, deleted_at = null
            where s.deleted_at is not null`,
        values: [id, JSON.stringify(settings), JSON.stringify(secrets), createdAt],
      })) === 1,
    updateSource: async ({ id, settings, secrets, updatedAt, disabledAt }, seenAt) =>
      (await change(pool, bus, {
        text: `update sources set settings = $1, secrets = $2, updated_at = $3, disabled_at = $4
          where id = $5 and updated_at = $6 and deleted_at is null`,
        values: [JSON.stringify(settings), JSON.stringify(secrets), updatedAt, disabledAt, id, seenAt],
      })) === 1,
    removeSource: async (id, at) =>
      (await change(pool, bus, {
        text: `update sources set settings = '{}', secrets = '[]', deleted_at = $1 where id = $2 and deleted_at is null`,
        values: [at, id],
      })) === 1,
    onSourcesChanged: (listener) => bus.subscribe(CHANGED, listener),
  }
}
