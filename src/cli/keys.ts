import { readConfig } from '../config.ts'
import { fail } from '../core/errors.ts'
import { type ApiKey, keyFault, type Scope, shownKey } from '../core/key.ts'
import { createKey } from '../intake/keys.ts'
import { openAccess } from '../store/open.ts'
import type { KeyStore } from '../store/key-store.ts'
import { exitWith } from './fault.ts'
import { count, paint, print, printTable } from './table.ts'

type NewKeyOptions = { scope: Scope[]; days?: number; rate?: number; json?: boolean }

const DAY_MS = 86_400_000

/** Makes a key and prints it, this once. A running server knows it within a second. */
export const create = (name: string, { scope, days, rate, json }: NewKeyOptions) =>
  withKeys(async (store) => {
    const now = Date.now()
    const isFirst = (await store.keys()).length === 0
    const expiresAt = days === undefined ? null : now + days * DAY_MS
    const made = await createKey(store, { name, scopes: scope, rate: rate ?? null, expiresAt }, now)
    if (json) return print(JSON.stringify({ ...shownKey(made), secret: made.secret }, null, 2))
    print(`Key ${paint('bold', made.id)} for ${name}, scopes ${scope.join(', ')}${until(made)}. Shown this once:`)
    print(`\n    ${made.secret}\n`)
    if (isFirst) print('It is the first: from now on every request needs a key.')
  })

export const list = ({ json }: { json?: boolean }) =>
  withKeys(async (store) => {
    const keys = await store.keys()
    if (json) return print(JSON.stringify({ keys: keys.map(shownKey) }, null, 2))
    if (keys.length === 0) return print('There is no key. Make one: ticketflow keys create <name>')
    const now = Date.now()
    printTable(
      ['key', 'name', 'scopes', 'made', 'last used', 'state'],
      keys.map((key) => ({
        state: keyFault(key, now) === null ? 'ok' : 'warn',
        cells: [key.id, key.name, key.scopes.join(' '), day(key.createdAt), day(key.lastUsedAt), stateOf(key, now)],
      })),
    )
    print(count(keys.length, 'key'))
  })

/** Exit code 1 when there is no such key. */
export const revoke = (id: string, { json }: { json?: boolean }) =>
  withKeys(async (store) => {
    const known = (await store.keys()).find((key) => key.id === id)
    if (known === undefined) return fail('not_found', `There is no key ${id}; \`ticketflow keys list\` shows all`)
    await store.revokeKey(id, Date.now())
    if (json) return print(JSON.stringify({ ok: true, id }, null, 2))
    print(known.revokedAt === null ? `Key ${id} opens nothing any more.` : `Key ${id} was revoked before.`)
  })

async function withKeys(work: (store: KeyStore) => Promise<void>): Promise<void> {
  try {
    const { keyStore, close } = await openAccess(readConfig())
    try {
      await work(keyStore)
    } finally {
      await close()
    }
  } catch (error) {
    exitWith(error)
  }
}

const day = (time: number | null) => (time === null ? 'never' : new Date(time).toISOString().slice(0, 10))
const until = ({ expiresAt }: ApiKey) => (expiresAt === null ? '' : `, until ${day(expiresAt)}`)

function stateOf(key: ApiKey, now: number): string {
  if (key.revokedAt !== null) return `revoked ${day(key.revokedAt)}`
  if (key.expiresAt === null) return 'good'
  return key.expiresAt <= now ? `expired ${day(key.expiresAt)}` : `good until ${day(key.expiresAt)}`
}
