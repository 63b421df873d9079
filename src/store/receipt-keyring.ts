import { publicKeysIn } from '../core/receipt.ts'
import { type ShownKey, shownKey } from './receipt-key.ts'
import type { PublishedKey, ReceiptKeyStore } from './key-store.ts'

/**
 * The public keys of every node that signs, or signed, receipts on a store, so that any of them can be asked. Publishes
 * those of this node (`own`, the present one first) and hears of the others'.
 */
export async function openKeyring(deps: {
  store: ReceiptKeyStore
  own: readonly ShownKey[]
  onError: (error: unknown) => void
}): Promise<{ all: () => readonly ShownKey[]; close: () => void }> {
  const { store, own, onError } = deps
  const firstSeenAt = Date.now()
  await store.publishReceiptKeys(own.map(({ kid, pem }) => ({ keyId: kid, publicKey: pem, firstSeenAt })))
  const isOwn = new Set(own.map(({ kid }) => kid))
  let all = own

  async function load(): Promise<void> {
    const others = (await store.receiptKeys()).filter(({ keyId }) => !isOwn.has(keyId))
    all = [...own, ...others.flatMap(shownOf)]
  }
  await load()
  const unwatch = store.onReceiptKeysChanged(() => void load().catch(onError))
  return { all: () => all, close: unwatch }
}

/** As it is shown; none where what is kept is no Ed25519 key. */
const shownOf = ({ publicKey }: PublishedKey): ShownKey[] =>
  publicKeysIn(publicKey).flatMap(({ key }) => shownKey(key) ?? [])
