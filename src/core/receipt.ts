import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto'

/** What a receipt says of one delivery. */
export type ReceiptFacts = {
  /** Hex; of the body as it was received, after inflating. */
  bodySha256: string
  /** Null for a batch, and where nothing became a ticket. */
  ticketId: number | null
  /** The position in the audit log: the delivery's number and its link (core/audit.ts). */
  deliveryId: number
  link: string
}

/** Who signs: `sign` is Ed25519 over the UTF-8 of the text. */
export type Signer = { keyId: string; sign: (text: string) => Uint8Array }

export type PublicKey = { keyId: string; key: KeyObject }

export type Receipt = ReceiptFacts & {
  /** When the group was signed, after its commit: `2026-11-24T08:00:00.000Z`. */
  at: string
  /** Which leaf of how many, and its siblings from there to the root. */
  leaf: number
  leaves: number
  path: string[]
  root: string
  keyId: string
  signature: string
}

/**
 * How a receipt is made. Deliveries are signed by the group in which they were committed, so that one signature serves
 * all: each is a leaf of a Merkle tree (the shape of RFC 6962: an odd node moves up as it is) whose root is signed.
 *
 *     leaf = SHA-256( ["ticketflow-receipt/1 leaf", body_sha256, ticket_id, delivery_id, link] )
 *     node = SHA-256( ["ticketflow-receipt/1 node", left, right] )
 *     sig  = Ed25519( ["ticketflow-receipt/1 root", root, leaves, at] )
 *
 * Each list is the UTF-8 of its JSON, without spaces: texts quoted, numbers in decimal, `null` for no ticket.
 * `body_sha256` and `link` are 64 lower-case hex digits. All other hashes, and the signature, are base64url without
 * padding, and go into the next hash as that text. `at` is an ISO time in UTC with milliseconds.
 *
 * The receipt is one line, in this order, with nothing else in it:
 *
 *     v=1; delivery=17; ticket=42; link=…; body=…; at=…; leaf=2/3; path=….…; root=…; key=…; sig=…
 *
 * `ticket` is `none` for none. `leaf` counts from 0, then says of how many. `path` are the siblings, the lowest first,
 * with dots between; empty in a group of one. `key` is the RFC 7638 thumbprint of the public key.
 *
 * To verify: hash the body and compare it with `body`; make the leaf; with i = leaf and n = leaves, while n > 1: when
 * the sibling i XOR 1 is below n, take the next of `path` and make the node, this one being left when i is even; halve
 * i (down) and n (up). The path must then be used up, the result be `root`, and `sig` good under the key.
 */
export function receiptsOf(facts: readonly ReceiptFacts[], at: string, signer: Signer): string[] {
  if (facts.length === 0) return []
  const layers = [facts.map(leafOf)]
  for (let layer = layers[0] ?? []; layer.length > 1; layers.push(layer)) layer = above(layer)
  const root = layers.at(-1)?.[0] ?? ''
  const signature = Buffer.from(signer.sign(signedText({ root, leaves: facts.length, at }))).toString('base64url')
  const end = `; root=${root}; key=${signer.keyId}; sig=${signature}`
  return facts.map(
    ({ bodySha256, ticketId, deliveryId, link }, leaf) =>
      `v=1; delivery=${deliveryId}; ticket=${ticketId ?? 'none'}; link=${link}; body=${bodySha256}; at=${at}` +
      `; leaf=${leaf}/${facts.length}; path=${pathOf(layers, leaf)}${end}`,
  )
}

// Nothing in these lists has to be escaped, and JSON.stringify would cost as much as the hash.
const leafOf = ({ bodySha256, ticketId, deliveryId, link }: ReceiptFacts) =>
  hash('sha256', `["ticketflow-receipt/1 leaf","${bodySha256}",${ticketId},${deliveryId},"${link}"]`, 'base64url')

const nodeOf = (left: string, right: string) =>
  hash('sha256', `["ticketflow-receipt/1 node","${left}","${right}"]`, 'base64url')

const signedText = ({ root, leaves, at }: Pick<Receipt, 'root' | 'leaves' | 'at'>) =>
  `["ticketflow-receipt/1 root","${root}",${leaves},"${at}"]`

function above(layer: readonly string[]): string[] {
  const nodes: string[] = []
  for (let index = 0; index < layer.length; index += 2) {
    const [left = '', right] = [layer[index], layer[index + 1]]
    nodes.push(right === undefined ? left : nodeOf(left, right))
  }
  return nodes
}

function pathOf(layers: readonly string[][], leaf: number): string {
  let path = ''
  let index = leaf
  for (const layer of layers) {
    const sibling = layer[index ^ 1]
    if (sibling !== undefined) path += path === '' ? sibling : `.${sibling}`
    index >>= 1
  }
  return path
}

const HASH = '[\\w-]{43}'
const LINE = new RegExp(
  '^v=1; delivery=([1-9]\\d{0,15}); ticket=([1-9]\\d{0,15}|none); link=([0-9a-f]{64}); body=([0-9a-f]{64})' +
    '; at=(\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z); leaf=(0|[1-9]\\d{0,6})/([1-9]\\d{0,6})' +
    `; path=((?:${HASH}(?:\\.${HASH}){0,23})?); root=(${HASH}); key=(${HASH}); sig=([\\w-]{86})$`,
)

/** A receipt read; the header's name may stand before it. Null when it is none. */
export function parseReceipt(text: string): Receipt | null {
  const found = LINE.exec(text.trim().replace(/^ticketflow-receipt:\s*/i, ''))
  if (found === null) return null
  const [, delivery, ticket, link = '', bodySha256 = '', at = '', leaf, leaves, path = '', root = '', key = ''] = found
  return {
    deliveryId: Number(delivery),
    ticketId: ticket === 'none' ? null : Number(ticket),
    link,
    bodySha256,
    at,
    leaf: Number(leaf),
    leaves: Number(leaves),
    path: path === '' ? [] : path.split('.'),
    root,
    keyId: key,
    signature: found[11] ?? '',
  }
}

/** What does not hold. `detail` is a sentence. */
export type ReceiptFault = { kind: 'body' | 'ticket' | 'position' | 'altered' | 'key' | 'signature'; detail: string }

/** What a receipt is held against: the body and the keys, and what else its holder expects of it. */
export type Expected = {
  bodySha256: string
  keys: readonly PublicKey[]
  ticketId?: number | undefined
  deliveryId?: number | undefined
  link?: string | undefined
}

/** Why a receipt proves nothing about this body; null when it holds. */
export function receiptFault(receipt: Receipt, expected: Expected): ReceiptFault | null {
  const { bodySha256, ticketId, deliveryId, link, keyId } = receipt
  const ticket = ticketId === null ? 'no single ticket' : `ticket ${ticketId}`
  if (expected.bodySha256 !== bodySha256) {
    return fault('body', `The body is another one: its SHA-256 is ${expected.bodySha256}, the receipt's ${bodySha256}`)
  }
  if (expected.ticketId !== undefined && expected.ticketId !== ticketId) {
    return fault('ticket', `The receipt is of ${ticket}, not of ticket ${expected.ticketId}`)
  }
  if (expected.deliveryId !== undefined && expected.deliveryId !== deliveryId) {
    return fault('position', `The receipt is of delivery ${deliveryId}, not of delivery ${expected.deliveryId}`)
  }
  if (expected.link !== undefined && expected.link !== link) {
    return fault('position', `The receipt's place in the audit log is ${link}, not ${expected.link}`)
  }
  if (rootOf(receipt) !== receipt.root) {
    return fault(
      'altered',
      `The receipt was altered: ${ticket}, delivery ${deliveryId}, its link and this body are not together in what was signed`,
    )
  }
  const known = expected.keys.find((one) => one.keyId === keyId)
  if (known === undefined) {
    const given = expected.keys.map((one) => one.keyId).join(', ')
    return fault('key', `The receipt names the key ${keyId}, and the key given is ${given}`)
  }
  if (isSignedBy(receipt, known.key)) return null
  return fault('signature', `The signature is not one of the key ${keyId} over this root, number of leaves and time`)
}

const fault = (kind: ReceiptFault['kind'], detail: string): ReceiptFault => ({ kind, detail })

/** Null when the path is too long or too short. */
function rootOf(receipt: Receipt): string | null {
  const path = [...receipt.path]
  let node = leafOf(receipt)
  let index = receipt.leaf
  if (index >= receipt.leaves) return null
  for (let size = receipt.leaves; size > 1; size = Math.ceil(size / 2)) {
    if ((index ^ 1) < size) {
      const sibling = path.shift()
      if (sibling === undefined) return null
      node = index % 2 === 0 ? nodeOf(node, sibling) : nodeOf(sibling, node)
    }
    index >>= 1
  }
  return path.length === 0 ? node : null
}

function isSignedBy(receipt: Receipt, key: KeyObject): boolean {
  const signature = Buffer.from(receipt.signature, 'base64url')
  // The last character has bits to spare: only one of its spellings counts.
  if (signature.toString('base64url') !== receipt.signature) return false
  return verify(null, Buffer.from(signedText(receipt)), key, signature)
}

/** An Ed25519 public key as the world shows one (RFC 8037), named by its thumbprint (RFC 7638). Null for other keys. */
export function jwkOf(key: KeyObject) {
  const { kty, crv, x } = key.asymmetricKeyType === 'ed25519' ? key.export({ format: 'jwk' }) : {}
  if (kty !== 'OKP' || crv !== 'Ed25519' || x === undefined) return null
  const kid = hash('sha256', JSON.stringify({ crv, kty, x }), 'base64url')
  return { kty, crv, x, kid, use: 'sig', alg: 'EdDSA' } as const
}

const PEM = /-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\s]+-----END PUBLIC KEY-----/g

/** The Ed25519 public keys of a text: PEM, a JWK, the document of the well-known address, or 32 bytes in base64. */
export function publicKeysIn(text: string): PublicKey[] {
  const pem = text.match(PEM)
  const keys = pem ?? jwksIn(text)
  return keys.flatMap((one) => {
    try {
      const key =
        typeof one === 'string' ? createPublicKey(one) : createPublicKey({ key: { ...one }, format: 'jwk' as const })
      const keyId = jwkOf(key)?.kid
      return keyId === undefined ? [] : [{ keyId, key }]
    } catch {
      return []
    }
  })
}

type Ed25519Jwk = { kty: 'OKP'; crv: 'Ed25519'; x: string }

function jwksIn(text: string): Ed25519Jwk[] {
  const plain = text.trim()
  if (/^[\w+/-]{43}=?$/.test(plain)) return [asJwk(Buffer.from(plain, 'base64').toString('base64url'))]
  try {
    const value = JSON.parse(plain) as { x?: unknown; keys?: { x?: unknown }[] }
    return [value, ...(Array.isArray(value.keys) ? value.keys : [])].flatMap((one) =>
      typeof one?.x === 'string' ? [asJwk(one.x)] : [],
    )
  } catch {
    return []
  }
}

const asJwk = (x: string): Ed25519Jwk => ({ kty: 'OKP', crv: 'Ed25519', x })
