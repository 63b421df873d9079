/**
 * What receipts cost: CPU a delivery to make and sign those of one group commit, by the size of the group.
 * `npm run bench:receipts`.
 */
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'

import { type ReceiptFacts, receiptsOf } from '../src/core/receipt.ts'
import { median } from './stats.ts'

const ROUNDS = 31
const PER_ROUND = 4_000

const { privateKey } = generateKeyPairSync('ed25519')
const signer = { keyId: 'k'.repeat(43), sign: (text: string) => sign(null, Buffer.from(text), privateKey) }
const hex = () => createHash('sha256').update(randomBytes(32)).digest('hex')
const factsOf = (size: number): ReceiptFacts[] =>
  Array.from({ length: size }, (_, index) => ({
    bodySha256: hex(),
    ticketId: 1_000_000 + index,
    deliveryId: 2_000_000 + index,
    link: hex(),
  }))

function measure(facts: ReceiptFacts[]): number {
  const groups = Math.ceil(PER_ROUND / facts.length)
  let length = 0
  const before = process.cpuUsage()
  for (let group = 0; group < groups; group += 1) {
    for (const receipt of receiptsOf(facts, new Date(group).toISOString(), signer)) length += Buffer.byteLength(receipt)
  }
  const { user, system } = process.cpuUsage(before)
  if (length === 0) throw new Error('nothing was made')
  return (user + system) / (groups * facts.length)
}

const groups = [1, 16, 64, 1000].map((size) => ({ size, facts: factsOf(size), times: [] as number[] }))
for (let round = 0; round < ROUNDS; round += 1) {
  for (const { facts, times } of groups) times.push(measure(facts))
}
for (const { size, facts, times } of groups) {
  const longest = Math.max(...receiptsOf(facts, new Date(0).toISOString(), signer).map(({ length }) => length))
  console.log(`groups of ${String(size).padStart(4)}: ${median(times).toFixed(2)} µs CPU a delivery, ${longest} bytes`)
}
