import { hash } from 'node:crypto'
import { existsSync, readFileSync, statSync } from 'node:fs'

import {
  parseReceipt,
  type PublicKey,
  publicKeysIn,
  type Receipt,
  receiptFault,
  type ReceiptFault,
} from '../core/receipt.ts'
import { StoreError } from '../store/sqlite-files.ts'
import { exitWith } from './fault.ts'
import { paint, print } from './table.ts'

type Options = { body: string; key: string; ticket?: number; delivery?: number; link?: string; json?: boolean }

/** Says what a receipt proves. Exit code 1 when it does not hold, or is none. */
export function verify(given: string, { body, key, ticket, delivery, link, json = false }: Options): void {
  try {
    const receipt = receiptIn(given)
    const keys = keysIn(key)
    const bodySha256 = hash('sha256', bytesOf(body))
    const expected = { bodySha256, keys, ticketId: ticket, deliveryId: delivery, link: link?.toLowerCase() }
    const fault = receiptFault(receipt, expected)
    if (json) print(JSON.stringify(reportJson(receipt, fault), null, 2))
    else show(receipt, fault)
    if (fault !== null) process.exitCode = 1
  } catch (error) {
    exitWith(error)
  }
}

function receiptIn(given: string): Receipt {
  const found = parseReceipt(textOf(given))
  if (found !== null) return found
  const what = isFile(given) ? `${given} holds something else` : 'It is neither that nor a file that is there'
  throw new StoreError(`A receipt is the value of the header TicketFlow-Receipt, whole and unchanged. ${what}`)
}

function keysIn(given: string): PublicKey[] {
  const keys = publicKeysIn(textOf(given))
  if (keys.length > 0) return keys
  const what = isFile(given) ? `${given} holds none` : 'It is neither that nor a file that is there'
  throw new StoreError(
    `The key is an Ed25519 public key as JWK, PEM or 32 bytes in base64; GET /.well-known/ticketflow-receipt-key gives it. ${what}`,
  )
}

// A text may be longer than a file's name can be, which existsSync takes for a no.
const isFile = (given: string) => existsSync(given) && statSync(given).isFile()

/** Of a file, or the text itself. */
const textOf = (given: string) => (isFile(given) ? readFileSync(given, 'utf8') : given)

function bytesOf(file: string): Buffer {
  if (file === '-') return readFileSync(0)
  if (!isFile(file)) throw new StoreError(`There is no file ${file} with the body that was sent`)
  return readFileSync(file)
}

function show(receipt: Receipt, fault: ReceiptFault | null): void {
  const { ticketId, deliveryId, at, bodySha256, link, keyId } = receipt
  if (fault !== null) return print(`${paint('red', 'Does not hold')} (${fault.kind}): ${fault.detail}`)
  const became = ticketId === null ? 'accepted' : `accepted as ticket ${ticketId}`
  print(`${paint('green', 'Holds')}: this body was ${became} and on disk by ${at}`)
  print(`It is delivery ${deliveryId} of the audit log, whose link there is ${link}`)
  print(`Body: SHA-256 ${bodySha256}. Signed by the key ${keyId}`)
}

const reportJson = ({ ticketId, deliveryId, at, bodySha256, link, keyId }: Receipt, fault: ReceiptFault | null) => ({
  ok: fault === null,
  body_sha256: bodySha256,
  ticket_id: ticketId,
  delivery_id: deliveryId,
  link,
  at,
  key_id: keyId,
  fault,
})
