import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

import { jwkOf, publicKeysIn, type ReceiptFacts, receiptsOf } from '../core/receipt.ts'
import { createOnce } from './durable-file.ts'
import { isOpenToOthers, makePrivate, prepareDirectory, StoreError } from './sqlite-files.ts'

/** Makes the receipts of one group commit, in order. */
export type Notary = (facts: readonly ReceiptFacts[]) => string[]

/** A public key of the well-known document: a JWK, and the same as PEM for tools that want that. */
export type ShownKey = NonNullable<ReturnType<typeof jwkOf>> & { pem: string }

export type ReceiptKey = {
  notary: Notary
  /** The present key first, then retired ones. */
  keys: ShownKey[]
  /** What whoever runs the server should know, a sentence each. */
  warnings: string[]
}

const receiptKeyPath = (directory: string) => join(directory, 'receipt.key')
const retiredKeysPath = (directory: string) => join(directory, 'receipt-retired.pem')

/** The key that signs receipts, made where there is none yet. Throws StoreError, saying what to do. */
export function openReceiptKey(directory: string): ReceiptKey {
  prepareDirectory(directory)
  const path = receiptKeyPath(directory)
  const privateKey = readKey(path) ?? makeKey(directory)
  const own = shownKey(createPublicKey(privateKey))
  if (own === null) throw new StoreError(`${path} is a key of another kind than Ed25519; ${REMEDY}`)
  const signer = { keyId: own.kid, sign: (text: string) => sign(null, Buffer.from(text), privateKey) }
  const retired = retiredKeys(retiredKeysPath(directory)).filter(({ kid }) => kid !== own.kid)
  const wasOpen = isOpenToOthers(path)
  if (wasOpen) makePrivate(path)
  return {
    notary: (facts) => receiptsOf(facts, new Date().toISOString(), signer),
    keys: [own, ...retired],
    warnings: wasOpen
      ? [`${path} could be read by others of this machine until now; whoever did can sign receipts`]
      : [],
  }
}

const REMEDY = 'put the right file back, or move this one away and the next start makes a new key'

function readKey(path: string): KeyObject | null {
  let pem: string
  try {
    pem = readFileSync(path, 'utf8')
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null
    throw new StoreError(`${path} cannot be read (${String(cause)}); let the server's user read it`, { cause })
  }
  try {
    return createPrivateKey(pem)
  } catch (cause) {
    throw new StoreError(`${path} holds no private key; ${REMEDY}`, { cause })
  }
}

function makeKey(directory: string): KeyObject {
  const path = receiptKeyPath(directory)
  const { privateKey } = generateKeyPairSync('ed25519')
  try {
    if (createOnce(path, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())) return privateKey
  } catch (cause) {
    throw new StoreError(`${path} cannot be written: ${cause instanceof Error ? cause.message : ''}`, { cause })
  }
  const other = readKey(path)
  if (other !== null) return other
  throw new StoreError(`${path} cannot be written: it leads to nothing; remove it`)
}

function retiredKeys(path: string): ShownKey[] {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return []
  const keys = publicKeysIn(readFileSync(path, 'utf8')).flatMap(({ key }) => shownKey(key) ?? [])
  if (keys.length > 0) return keys
  throw new StoreError(`${path} holds no Ed25519 public key in PEM; docs/operations.md says how one is retired`)
}

/** Null for a key of another kind than Ed25519. */
export function shownKey(key: KeyObject): ShownKey | null {
  const jwk = jwkOf(key)
  return jwk && { ...jwk, pem: String(key.export({ type: 'spki', format: 'pem' })) }
}
