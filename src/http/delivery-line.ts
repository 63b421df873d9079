/** What a log line says of a delivery; what is undefined is left out. */
export type DeliveryFacts = {
  outcome: string
  ticket?: number | null
  delivery?: number
  reason?: string
  status: number
  method: string
  path: string
  address: string | undefined
  bytes: number | undefined
  ms: number
  request_id: string
}

const PLAIN = /^[\w ./:-]*$/

/** The last time written: a busy server has many deliveries in a millisecond. */
const last = { ms: Number.NaN, iso: '' }

function timeOf(ms: number): string {
  if (ms !== last.ms) Object.assign(last, { ms, iso: new Date(ms).toISOString() })
  return last.iso
}

/**
 * The line of a delivery as the logger would write it, for a third of what the logger takes: it is the one line that
 * is written for each of them.
 */
export function deliveryLine(facts: DeliveryFacts, now: number): string {
  const { outcome, ticket, delivery, reason, status, method, path, address, bytes, ms, request_id: id } = facts
  return (
    `{"level":30,"time":"${timeOf(now)}","outcome":"${outcome}"` +
    (ticket === undefined ? '' : `,"ticket":${ticket}`) +
    (delivery === undefined ? '' : `,"delivery":${delivery}`) +
    (reason === undefined ? '' : `,"reason":${quoted(reason)}`) +
    `,"status":${status},"method":"${method}","path":${quoted(path)}` +
    (address === undefined ? '' : `,"address":${quoted(address)}`) +
    (bytes === undefined ? '' : `,"bytes":${bytes}`) +
    `,"ms":${ms},"request_id":${quoted(id)},"msg":"delivery"}\n`
  )
}

const quoted = (text: string) => (PLAIN.test(text) ? `"${text}"` : JSON.stringify(text))
