import { createPrivateKey, createPublicKey, generateKeyPairSync, hash, sign } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  jwkOf,
  parseReceipt,
  publicKeysIn,
  type ReceiptFacts,
  receiptFault,
  receiptsOf,
  type Signer,
} from '../../src/core/receipt.ts'
import { openReceiptKey } from '../../src/store/receipt-key.ts'
import { temporaryDirectory } from '../server.ts'

// RFC 8032, 7.1, TEST 1: its secret key is the seed of this one, so that another program can make the same key.
const SEED = '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'
const privateKey = createPrivateKey({
  key: Buffer.from(`302e020100300506032b657004220420${SEED}`, 'hex'),
  format: 'der',
  type: 'pkcs8',
})
const publicKey = createPublicKey(privateKey)
const keyId = jwkOf(publicKey)?.kid ?? ''
const signer: Signer = { keyId, sign: (text) => sign(null, Buffer.from(text), privateKey) }
const keys = [{ keyId, key: publicKey }]
const AT = '2026-11-24T08:00:00.000Z'

const factsOf = (count: number): ReceiptFacts[] =>
  Array.from({ length: count }, (_, index) => ({
    bodySha256: hash('sha256', `body ${index}`),
    ticketId: index === 1 ? null : 40 + index,
    deliveryId: 17 + index,
    link: hash('sha256', `link ${index}`),
  }))

const faultOf = (text: string, bodySha256: string, more = {}) => {
  const receipt = parseReceipt(text)
  return receipt === null ? 'no receipt' : (receiptFault(receipt, { bodySha256, keys, ...more })?.kind ?? null)
}

/** RFC 6962, 2.1, as it is written there: by halves from the top, and not by layers from below. */
function treeHash(leaves: string[]): string {
  const [only = ''] = leaves
  if (leaves.length === 1) return only
  const half = 2 ** Math.ceil(Math.log2(leaves.length) - 1)
  const sides = [treeHash(leaves.slice(0, half)), treeHash(leaves.slice(half))]
  return hash('sha256', JSON.stringify(['ticketflow-receipt/1 node', ...sides]), 'base64url')
}

describe('the format', () => {
  // Also verified by other programs: hashes by Python's hashlib, the signature by OpenSSL.
  const EXAMPLE = [
    'v=1; delivery=18; ticket=none',
    'link=fdb8626af9e350fcd8919771ad6fcb5b355b3c08da686cfed60ccff1bd0436ad',
    'body=e92b667eb438d66f429e37c1aab76513c1953666b7cb7997f739bfa786723cfd; at=2026-11-24T08:00:00.000Z; leaf=1/3',
    'path=0fcU6lQXu45en4Uc01lrFS7vVAae_xpmOHLyyWydFzY.2szOl1VQysljzqVAGWST7EoTqO7mEF17PJzVYUSUzuA',
    'root=JWIEwWxw3dl1X64NgqI_3VVUyqo1wdDbxHy12NpUHCI; key=kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
    'sig=wFVQcTzw96tQdeXk_NQr5O4Lj1lfKouXnQCK8WJlazDpshjRASekyGOs5OJTh__5k9Zthzl5e3ew7ltqYZfNCg',
  ].join('; ')

  test('of the example is this, to the byte', () => {
    expect(keyId).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k') // the thumbprint in RFC 8037, A.3
    expect(receiptsOf(factsOf(3), AT, signer)[1]).toBe(EXAMPLE)
    expect(faultOf(EXAMPLE, hash('sha256', 'body 1'))).toBeNull()
  })

  test('is a tree as RFC 6962 has it, for groups of each size', () => {
    for (let size = 1; size <= 70; size += 1) {
      const facts = factsOf(size)
      const leaves = facts.map(({ bodySha256, ticketId, deliveryId, link }) =>
        hash(
          'sha256',
          JSON.stringify(['ticketflow-receipt/1 leaf', bodySha256, ticketId, deliveryId, link]),
          'base64url',
        ),
      )
      const receipts = receiptsOf(facts, AT, signer)
      expect(new Set(receipts.map((text) => parseReceipt(text)?.root))).toEqual(new Set([treeHash(leaves)]))
      expect(receipts.map((text, index) => faultOf(text, facts[index]?.bodySha256 ?? ''))).toEqual(
        facts.map(() => null),
      )
    }
  })

  test('stays below 1 KB with its name, in a group of 1,000 and with the largest numbers', () => {
    const facts = factsOf(1000)
    for (const one of facts) Object.assign(one, { ticketId: 2 ** 53 - 1, deliveryId: 2 ** 53 - 1 })
    const longest = Math.max(...receiptsOf(facts, AT, signer).map(({ length }) => length))
    expect(longest + 'TicketFlow-Receipt: \r\n'.length).toBeLessThan(1024)
  })

  test('signs once for a group, and not at all for none', () => {
    let signed = 0
    const counting: Signer = { keyId, sign: (text) => ((signed += 1), signer.sign(text)) }
    receiptsOf(factsOf(64), AT, counting)
    expect(signed).toBe(1)
    expect(receiptsOf([], AT, counting)).toEqual([])
    expect(signed).toBe(1)
  })

  test('is read with its header’s name before it and space around it, and nothing else is', () => {
    const [text = ''] = receiptsOf(factsOf(1), AT, signer)
    expect(parseReceipt(`TicketFlow-Receipt:  ${text}\r\n`)).toEqual(parseReceipt(text))
    for (const other of ['', 'v=1', text.slice(0, -1), `${text}; x=1`, text.replace('v=1', 'v=2'), `a: ${text}`])
      expect(parseReceipt(other)).toBeNull()
  })
})

describe('a receipt is refused', () => {
  const facts = factsOf(5)
  const texts = receiptsOf(facts, AT, signer)
  const text = texts[2] ?? ''
  const body = facts[2]?.bodySha256 ?? ''

  test('with each of its bits changed, one at a time', () => {
    const bytes = Buffer.from(text)
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = Buffer.from(bytes)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect([bit, faultOf(changed.toString('latin1'), body)]).not.toEqual([bit, null])
    }
  })

  const other = generateKeyPairSync('ed25519').publicKey
  const foreign = { keyId: jwkOf(other)?.kid ?? '', key: other }
  const [, ofAnotherGroup = ''] = receiptsOf(factsOf(3), '2026-11-24T08:00:00.001Z', signer)
  const signatureOf = (receipt: string) => receipt.slice(receipt.indexOf('sig='))
  const cases: [string, string, string, string, object][] = [
    ['another body', 'body', text, hash('sha256', 'another'), {}],
    ['another ticket than expected', 'ticket', text, body, { ticketId: 43 }],
    ['another delivery than expected', 'position', text, body, { deliveryId: 18 }],
    ['another link than expected', 'position', text, body, { link: hash('sha256', 'another') }],
    ['its ticket altered', 'altered', text.replace('ticket=42', 'ticket=43'), body, {}],
    ['its ticket removed', 'altered', text.replace('ticket=42', 'ticket=none'), body, {}],
    ['its delivery altered', 'altered', text.replace('delivery=19', 'delivery=20'), body, {}],
    ['its link altered', 'altered', text.replace(facts[2]?.link ?? '', facts[3]?.link ?? ''), body, {}],
    ['another leaf', 'altered', text.replace('leaf=2/', 'leaf=3/'), body, {}],
    ['a leaf beyond the last', 'altered', text.replace('leaf=2/', 'leaf=6/'), body, {}],
    ['a path cut short', 'altered', text.replace(/\.[\w-]{43}; root/, '; root'), body, {}],
    ['a path made longer', 'altered', text.replace('; root', `.${'A'.repeat(43)}; root`), body, {}],
    ['another number of leaves of the same path', 'signature', text.replace('leaf=2/5', 'leaf=2/6'), body, {}],
    ['another time', 'signature', text.replace(AT, '2026-11-24T08:00:00.001Z'), body, {}],
    ['the signature of another', 'signature', text.replace(/sig=.*/, signatureOf(ofAnotherGroup)), body, {}],
    ['another key', 'key', text, body, { keys: [foreign] }],
    ['another key by the name of this', 'signature', text, body, { keys: [{ ...foreign, keyId }] }],
  ]
  test.each(cases)('with %s, and says which: %s', (_name, kind, changed, sha256, more) => {
    expect(faultOf(changed, sha256, more)).toBe(kind)
  })

  test('each with a sentence of its own', () => {
    const details = cases.flatMap(([, , changed, bodySha256, more]) => {
      const receipt = parseReceipt(changed)
      return receipt === null ? [] : [receiptFault(receipt, { bodySha256, keys, ...more })?.detail]
    })
    expect(new Set(details).size).toBeGreaterThanOrEqual(9)
  })

  test('when a part of it is taken from any other receipt of the group', () => {
    const parts = (one: string) => one.split('; ')
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 4 }),
        fc.integer({ min: 0, max: 4 }),
        fc.integer({ min: 1, max: 10 }),
        (a, b, at) => {
          const mixed = parts(texts[a] ?? '')
            .with(at, parts(texts[b] ?? '')[at] ?? '')
            .join('; ')
          const isSame = mixed === texts[a]
          expect(faultOf(mixed, facts[a]?.bodySha256 ?? '') === null).toBe(isSame)
        },
      ),
      { numRuns: 300 },
    )
  })

  test('when its text is anything at all', () => {
    fc.assert(
      fc.property(fc.string(), fc.nat(text.length), (junk, at) => {
        const spliced = text.slice(0, at) + junk + text.slice(at + junk.length)
        if (spliced.trim() !== text) expect(faultOf(spliced, body)).not.toBeNull()
      }),
      { numRuns: 500 },
    )
  })
})

test('the public key is read as JWK, JWK Set, PEM and base64, and from several PEMs', () => {
  const jwk = jwkOf(publicKey)
  const pem = String(publicKey.export({ type: 'spki', format: 'pem' }))
  const second = String(generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }))
  const raw = Buffer.from(jwk?.x ?? '', 'base64url')
  for (const text of [
    JSON.stringify(jwk),
    JSON.stringify({ keys: [jwk] }),
    pem,
    raw.toString('base64'),
    jwk?.x ?? '',
    `${pem}${second}`,
  ])
    expect(publicKeysIn(text)[0]?.keyId).toBe(keyId)
  expect(publicKeysIn(`${second}${pem}`).map((key) => key.keyId)).toContain(keyId)
  const rsa = String(
    generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' }),
  )
  for (const text of [
    '',
    '{}',
    'null',
    '[1]',
    '{"keys":[null,1,{"x":1}]}',
    '{"x":"short"}',
    rsa,
    '-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----',
  ])
    expect(publicKeysIn(text)).toEqual([])
})

describe('the key file', () => {
  let directory: string
  beforeEach(async () => {
    directory = await temporaryDirectory()
  })
  afterEach(() => rm(directory, { recursive: true, force: true }))
  const path = () => join(directory, 'receipt.key')

  test('is made once, for its owner alone, and is the same the next time', async () => {
    const first = openReceiptKey(join(directory, 'new'))
    const [name, ...others] = await readdir(join(directory, 'new'))
    expect([name, others]).toEqual(['receipt.key', []])
    expect((await stat(join(directory, 'new', 'receipt.key'))).mode & 0o777).toBe(0o600)
    const again = openReceiptKey(join(directory, 'new'))
    expect(again.keys).toEqual(first.keys)
    expect(again.warnings).toEqual([])
    const facts = factsOf(2)
    const receipt = parseReceipt(again.notary(facts)[0] ?? '')
    const known = publicKeysIn(JSON.stringify({ keys: first.keys }))
    expect(receipt && receiptFault(receipt, { bodySha256: facts[0]?.bodySha256 ?? '', keys: known })).toBeNull()
  })

  test('that others could read is used and closed to them, with a warning', async () => {
    openReceiptKey(directory)
    await chmod(path(), 0o644)
    expect(openReceiptKey(directory).warnings).toEqual([expect.stringContaining('could be read by others')])
    expect(openReceiptKey(directory).warnings).toEqual([])
  })

  test('that is no key, of another kind, or cannot be read stops the start with what to do', async () => {
    await writeFile(path(), 'nonsense')
    expect(() => openReceiptKey(directory)).toThrow(/receipt\.key holds no private key; put the right file back/)
    expect(await readFile(path(), 'utf8')).toBe('nonsense')
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    await writeFile(path(), rsa.export({ type: 'pkcs8', format: 'pem' }))
    expect(() => openReceiptKey(directory)).toThrow(/another kind than Ed25519; put the right file back/)
    await rm(path())
    await mkdir(path())
    expect(() => openReceiptKey(directory)).toThrow(/receipt\.key cannot be read .*let the server's user read it/)
  })

  test('that was replaced leaves its public half in receipt-retired.pem, which is shown after the new one', async () => {
    const old = openReceiptKey(directory)
    await writeFile(join(directory, 'receipt-retired.pem'), old.keys[0]?.pem ?? '')
    expect(openReceiptKey(directory).keys).toEqual(old.keys) // not twice
    await rm(path())
    const fresh = openReceiptKey(directory)
    expect(fresh.keys).toHaveLength(2)
    expect(fresh.keys[1]).toEqual(old.keys[0])
    const receipt = parseReceipt(old.notary(factsOf(1))[0] ?? '')
    const shown = publicKeysIn(JSON.stringify({ keys: fresh.keys }))
    expect(receipt && receiptFault(receipt, { bodySha256: hash('sha256', 'body 0'), keys: shown })).toBeNull()
    await writeFile(join(directory, 'receipt-retired.pem'), 'nonsense')
    expect(() => openReceiptKey(directory)).toThrow(/receipt-retired\.pem holds no Ed25519 public key/)
  })
})
