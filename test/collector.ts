import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export type SeenSpan = {
  traceId: string
  spanId: string
  parent: string
  name: string
  kind: number
  attributes: Record<string, string | number | boolean>
  service: unknown
}

/** A collector of traces on loopback that takes OTLP over HTTP as protobuf, and keeps every span it was sent. */
export async function startCollector(): Promise<{ url: string; spans: SeenSpan[]; raw: Buffer[]; server: Server }> {
  const spans: SeenSpan[] = []
  const raw: Buffer[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      raw.push(body)
      if (request.url === '/v1/traces') spans.push(...spansIn(body))
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, spans, raw, server }
}

type Field = { number: number; value: Buffer | bigint }

/** The fields of one message: protobuf.dev/programming-guides/encoding. */
function fieldsOf(message: Buffer): Field[] {
  const fields: Field[] = []
  let at = 0
  const varint = () => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++] ?? 0
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  while (at < message.length) {
    const tag = Number(varint())
    const [number, wire] = [tag >> 3, tag & 7]
    if (wire === 0) fields.push({ number, value: varint() })
    else {
      const size = wire === 1 ? 8 : wire === 5 ? 4 : Number(varint())
      fields.push({ number, value: message.subarray(at, at + size) })
      at += size
    }
  }
  return fields
}

const all = (message: Buffer, number: number): Buffer[] =>
  fieldsOf(message).flatMap(({ number: found, value }) => (found === number && Buffer.isBuffer(value) ? value : []))
const bytes = (message: Buffer, number: number): Buffer => all(message, number)[0] ?? Buffer.alloc(0)

/** opentelemetry-proto: ExportTraceServiceRequest → resource_spans 1 → scope_spans 2 → spans 2. */
const spansIn = (request: Buffer): SeenSpan[] =>
  all(request, 1).flatMap((resource) => {
    const { 'service.name': service } = attributesOf(bytes(resource, 1), 1)
    return all(resource, 2).flatMap((scope) => all(scope, 2).map((span) => spanOf(span, service)))
  })

const spanOf = (span: Buffer, service: unknown): SeenSpan => ({
  service,
  traceId: bytes(span, 1).toString('hex'),
  spanId: bytes(span, 2).toString('hex'),
  parent: bytes(span, 4).toString('hex'),
  name: bytes(span, 5).toString(),
  kind: Number(fieldsOf(span).find(({ number }) => number === 6)?.value ?? 0),
  attributes: attributesOf(span, 9),
})

function attributesOf(message: Buffer, number: number): SeenSpan['attributes'] {
  return Object.fromEntries(
    all(message, number).map((pair) => {
      const [field] = fieldsOf(bytes(pair, 2))
      const value = field?.value ?? ''
      return [bytes(pair, 1).toString(), Buffer.isBuffer(value) ? value.toString() : Number(value)]
    }),
  )
}
