import { receiptKeyOf } from './key-rows.ts'
import type { Bus } from './postgres-bus.ts'
import { ask, type Pool } from './postgres-connect.ts'
import { RECEIPT_KEYS, type ReceiptKeyStore } from './key-store.ts'

const CHANGED = 'receipt-keys'

/** The public keys of receipts, of all nodes on a database. `node` is who publishes. */
export function createPostgresReceiptKeys(
  pool: Pool,
  bus: Pick<Bus, 'publish' | 'subscribe'>,
  node: string,
): ReceiptKeyStore {
  async function change(text: string, values: unknown[]): Promise<boolean> {
    const rows = await ask(pool, `${text} returning 1`, values)
    if (rows.length > 0) await bus.publish(CHANGED)
    return rows.length > 0
  }
  return {
    publishReceiptKeys: async (keys) => {
      await change(
        `insert into receipt_keys (key_id, node, public_key, first_seen_at)
         select key_id, $1, public_key, at from unnest($2::text[], $3::text[], $4::bigint[]) k (key_id, public_key, at)
         on conflict do nothing`,
        [
          node,
          keys.map(({ keyId }) => keyId),
          keys.map(({ publicKey }) => publicKey),
          keys.map(({ firstSeenAt }) => firstSeenAt),
        ],
      )
    },
    receiptKeys: async () =>
      (await ask(pool, `select * from receipt_keys order by first_seen_at desc, key_id limit ${RECEIPT_KEYS}`)).map(
        receiptKeyOf,
      ),
    withdrawReceiptKey: (keyId) => change('delete from receipt_keys where key_id = $1', [keyId]),
    onReceiptKeysChanged: (listener) => bus.subscribe(CHANGED, listener),
  }
}
