import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

/** A certificate and its key, in PEM. */
export type Certified = { cert: string; key: string }

const DAY_MS = 86_400_000

// Just enough DER (ITU-T X.690) and X.509 (RFC 5280) for a test: Node reads certificates, and makes none.
function der(tag: number, ...parts: (Uint8Array | string)[]): Buffer {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part)))
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Uint8Array.of(tag, ...size), content])
}
const sequence = (...parts: Uint8Array[]) => der(0x30, ...parts)
const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'))
const time = (date: Date) =>
  der(
    0x18,
    date
      .toISOString()
      .replaceAll(/[-:T]|\.\d+/g, '')
      .slice(0, 15),
  )
const nameOf = (common: string) => sequence(der(0x31, sequence(oid('550403'), der(0x0c, common))))
const extension = (id: string, value: Uint8Array) => sequence(oid(id), der(0x01, Uint8Array.of(255)), der(0x04, value))

const ECDSA_SHA256 = sequence(oid('2a8648ce3d040302'))

/** Signed by `issuer`, or by itself, in which case it may sign others. `days` is how long it is still good. */
export function certificate(
  name: string,
  {
    days = 30,
    issuer,
    names = [name],
  }: { days?: number; issuer?: Certified & { name: string }; names?: string[] } = {},
): Certified & { name: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const signer: KeyObject = issuer === undefined ? privateKey : createPrivateKey(issuer.key)
  const until = new Date(Date.now() + days * DAY_MS)
  const from = new Date(Math.min(Date.now() - DAY_MS, until.getTime() - DAY_MS))
  const alternatives = names.map((one) =>
    /^[\d.]+$/.test(one) ? der(0x87, Uint8Array.from(one.split('.').map(Number))) : der(0x82, one),
  )
  const body = sequence(
    der(0xa0, der(0x02, Uint8Array.of(2))),
    der(0x02, Uint8Array.of(0x40, ...randomBytes(8))),
    ECDSA_SHA256,
    nameOf(issuer?.name ?? name),
    sequence(time(from), time(until)),
    nameOf(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(
      0xa3,
      sequence(
        extension('551d13', issuer === undefined ? sequence(der(0x01, Uint8Array.of(255))) : sequence()),
        extension('551d11', sequence(...alternatives)),
      ),
    ),
  )
  const signature = der(0x03, Uint8Array.of(0), sign('sha256', body, signer))
  const base64 = sequence(body, ECDSA_SHA256, signature)
    .toString('base64')
    .match(/.{1,64}/g)
  return {
    name,
    cert: `-----BEGIN CERTIFICATE-----\n${base64?.join('\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}
