// The load, a process of its own so that it can be pinned, and a lasting one so that it is warm. It gets jobs over IPC.
// On bare sockets: an HTTP client costs more CPU than the servers that it is to measure.
import { connect, type Socket } from 'node:net'

import { quantile } from './stats.ts'
import { ID_LENGTH, ticketWith } from './ticket.ts'

export type LoadJob = {
  port: number
  connections: number
  /** Whichever comes first ends the job. */
  seconds: number
  requests: number
  /** An API key to send along. */
  key?: string
}
export type LoadResult = {
  /** Answers with status 200 that carry the id which was sent. */
  acknowledged: number
  refused: number
  /** What the first refusal was. */
  refusal: string | null
  seconds: number
  p50: number
  p99: number
  max: number
  /** CPU time of this process, in seconds: near `seconds` it was the bottleneck. */
  cpuSeconds: number
}

const ANSWER_MS = 15_000
const PREFIX_LENGTH = 10
const PLACEHOLDER = '0'.repeat(ID_LENGTH)

let jobs = 0
process.on('message', (job: LoadJob) => {
  run(job).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      process.stderr.write(`load: ${String(error)}\n`)
      process.exit(1)
    },
  )
})
process.on('disconnect', () => process.exit(0))

async function run({ port, connections, seconds, requests, key }: LoadJob): Promise<LoadResult> {
  jobs += 1
  // An id nobody sent before: start of this process, number of the job, number of the request.
  // A letter before the number: sixteen digits in a row take another way through the parser than most ids do.
  const prefix = `${Math.round(performance.timeOrigin).toString(36).slice(-7)}${jobs.toString(36).padStart(2, '0')}x`
  const latencies: number[] = []
  const tally = { sent: 0, acknowledged: 0, refused: 0, refusal: null as string | null }
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port)))
  const cpuBefore = process.cpuUsage()
  const start = performance.now()
  const end = start + seconds * 1000
  await Promise.all(sockets.map((client) => converse(client)))
  const elapsed = (performance.now() - start) / 1000
  const cpu = process.cpuUsage(cpuBefore)
  for (const { socket } of sockets) socket.destroy()

  const sorted = Float64Array.from(latencies).toSorted()
  return {
    acknowledged: tally.acknowledged,
    refused: tally.refused,
    refusal: tally.refusal,
    seconds: elapsed,
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    max: sorted.at(-1) ?? Number.NaN,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
  }

  function refuse(what: string): void {
    tally.refused += 1
    tally.refusal ??= what
  }

  /** One request after the other on one connection, until the job is over and the last answer is in. */
  function converse(client: Client): Promise<void> {
    const { socket } = client
    const { request, idStart } = requestBuffer(port, prefix, key)
    const id = request.subarray(idStart, idStart + ID_LENGTH)
    let sentAt = 0
    return new Promise((resolve) => {
      const send = () => {
        if (tally.sent >= requests || performance.now() >= end) return resolve()
        tally.sent += 1
        writeNumber(id, tally.sent)
        sentAt = performance.now()
        // The buffer is used again only after its answer, so it was sent by then.
        return socket.write(request)
      }
      client.onAnswer = (answer) => {
        latencies.push(performance.now() - sentAt)
        const isGood = answer.toString('latin1', 9, 12) === '200' && answer.includes(id)
        if (isGood) tally.acknowledged += 1
        else refuse(answer.toString('utf8', 0, 2000))
        send()
      }
      client.onEnd = (reason) => {
        refuse(reason)
        resolve()
      }
      send()
    })
  }
}

type Client = { socket: Socket; onAnswer: (answer: Buffer) => void; onEnd: (reason: string) => void }

/** A connection that hands out whole answers. */
function open(port: number): Promise<Client> {
  return new Promise((resolve, reject) => {
    let held: Buffer | null = null
    const receive = (size: number, buffer: Uint8Array) => {
      const chunk = Buffer.from(buffer.buffer, buffer.byteOffset, size)
      const answer: Buffer = held === null ? chunk : Buffer.concat([held, chunk])
      if (isWhole(answer)) {
        held = null
        client.onAnswer(answer)
      } else {
        held = Buffer.from(answer)
      }
      return true
    }
    const socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: { buffer: Buffer.allocUnsafeSlow(16_384), callback: receive },
    })
    const client: Client = { socket, onAnswer: () => {}, onEnd: () => {} }
    socket.setTimeout(ANSWER_MS, () => socket.destroy(new Error(`no answer in ${ANSWER_MS} ms`)))
    socket.on('error', (error) => {
      reject(error)
      client.onEnd(error.message)
    })
    socket.on('end', () => client.onEnd('the server closed the connection'))
    socket.once('connect', () => resolve(client))
  })
}

function isWhole(answer: Buffer): boolean {
  const head = answer.indexOf('\r\n\r\n')
  if (head < 0) return false
  const length = /content-length: *(\d+)/i.exec(answer.toString('latin1', 0, head))?.[1]
  if (length === undefined) throw new Error(`an answer without a length: ${answer.toString('latin1', 0, head)}`)
  return answer.length >= head + 4 + Number(length)
}

function requestBuffer(port: number, prefix: string, key?: string): { request: Buffer; idStart: number } {
  const body = ticketWith(PLACEHOLDER)
  const request = Buffer.from(
    `POST /api/integrations/webhook HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n${key === undefined ? '' : `X-API-Key: ${key}\r\n`}\r\n${body}`,
  )
  const idStart = request.indexOf(PLACEHOLDER)
  request.write(prefix, idStart, 'latin1')
  return { request, idStart }
}

/** Decimal digits after the prefix; without making a string. */
function writeNumber(id: Buffer, number: number): void {
  let rest = number
  for (let index = ID_LENGTH - 1; index >= PREFIX_LENGTH; index -= 1) {
    id[index] = 48 + (rest % 10)
    rest = Math.floor(rest / 10)
  }
}
