import { readConfig } from '../config.ts'
import { fail } from '../core/errors.ts'
import { openAccess } from '../store/open.ts'
import type { ReceiptKeyStore } from '../store/key-store.ts'
import { exitWith } from './fault.ts'
import { count, print, printTable } from './table.ts'

/** The public keys that receipts on this store are signed by, or were. */
export const list = ({ json }: { json?: boolean }) =>
  withKeys(async (store) => {
    const keys = (await store.receiptKeys()).map(({ keyId, node, publicKey, firstSeenAt }) => ({
      kid: keyId,
      node,
      first_seen_at: new Date(firstSeenAt).toISOString(),
      pem: publicKey,
    }))
    if (json) return print(JSON.stringify({ keys }, null, 2))
    if (keys.length === 0) return print('There is no key yet: a server publishes its own when it starts')
    printTable(
      ['key', 'node', 'first seen'],
      keys.map(({ kid, node, first_seen_at: at }) => ({ state: 'ok', cells: [kid, node || '–', at] })),
    )
    print(count(keys.length, 'key'))
  })

/** Exit code 1 when there is no such key. */
export const withdraw = (kid: string, { json }: { json?: boolean }) =>
  withKeys(async (store) => {
    if (!(await store.withdrawReceiptKey(kid))) {
      return fail('not_found', `There is no receipt key ${kid}; \`ticketflow receipt keys\` shows all`)
    }
    if (json) return print(JSON.stringify({ ok: true, kid }, null, 2))
    print(`Key ${kid} is not shown any more, but by a node that still has its file, which publishes it at each start.`)
  })

async function withKeys(work: (store: ReceiptKeyStore) => Promise<void>): Promise<void> {
  try {
    const { receiptKeyStore, close } = await openAccess(readConfig())
    try {
      await work(receiptKeyStore)
    } finally {
      await close()
    }
  } catch (error) {
    exitWith(error)
  }
}
