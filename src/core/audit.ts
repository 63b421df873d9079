import { hash } from 'node:crypto'

/** The link before the first one. */
export const GENESIS = '0'.repeat(64)

/** What a delivery says that may be about a person, and so may have to be erased one day. */
type Personal = {
  address: string
  path: string
  headers: string
  /** Hex; of the body as it was received. */
  bodySha256: string
  /** Whether the body was kept. */
  hasBody: boolean
  requestId: string
  idempotencyKey: string | null
  reason: string | null
}

/** What a row of the audit log says when its transaction commits: times in ms since the epoch, durations in µs. */
export type AuditEntry = Personal & {
  id: number
  receivedAt: number
  source: string
  method: string
  bodySize: number
  platform: string | null
  outcome: string
  status: number
  ticketId: number | null
  durationUs: number
  /** The delivery that this one plays again. */
  replayOf: number | null
}

/** What is left of the personal part once it is erased. */
export const ERASED: Personal = {
  address: '',
  path: '',
  headers: '{}',
  bodySha256: '',
  hasBody: false,
  requestId: '',
  idempotencyKey: null,
  reason: null,
}

/**
 * How the audit log is chained, the same in every engine of the store.
 *
 *     seal = SHA-256( [salt, address, path, headers, body_sha256, has_body, request_id, idempotency_key, reason] )
 *     link = SHA-256( [link before, id, received_at, source, method, body_size, platform, outcome, status, ticket_id,
 *                      duration_us, seal] )
 *
 * The link of a delivery that plays another again has that one's id behind the seal; that of any other has not.
 *
 * Each list is the UTF-8 of its JSON, as JSON.stringify writes it: texts quoted, so that no two lists read the same;
 * numbers in decimal; `null` for what is absent. A lone surrogate counts as U+FFFD, which is how it is stored.
 * `headers` is JSON text and goes in as a text. Hashes are 64 lower-case hex digits; the first link before is 64
 * zeros. The lists differ in length, so a seal is never a link.
 *
 * The link commits to the row as its transaction leaves it. It says nothing of `answer`, which may be filled in later.
 * The body is there by its hash. All that may be about a person is there by the seal alone, and the salt (random, in
 * the row) keeps the seal from being guessed: to erase a person, keep the seal in the row, set the personal columns to
 * ERASED and the body and the salt to null. The chain is then as whole as before.
 */
export function linkOf(before: string, entry: AuditEntry, seal: string): string {
  const { id, receivedAt, source, method, bodySize, platform, outcome, status, ticketId, durationUs, replayOf } = entry
  return hash(
    'sha256',
    `["${before}",${id},${receivedAt},${quoted(source)},${quoted(method)},${bodySize},${quoted(platform)},` +
      `${quoted(outcome)},${status},${ticketId},${durationUs},"${seal}"${replayOf === null ? '' : `,${replayOf}`}]`,
  )
}

/** See linkOf. `salt` is random and different for each row. */
export function sealOf(entry: Personal, salt: string): string {
  const { address, path, headers, bodySha256, hasBody, requestId, idempotencyKey, reason } = entry
  return hash(
    'sha256',
    `["${salt}",${quoted(address)},${quoted(path)},${quoted(headers)},"${bodySha256}",${hasBody},${quoted(requestId)},` +
      `${quoted(idempotencyKey)},${quoted(reason)}]`,
  )
}

const PLAIN = /^[\w ./:-]*$/

/**
 * As JSON.stringify writes it; most texts need no escaping, and are not gone through again for that. A lone surrogate,
 * which would be escaped, counts as what it is stored as.
 */
function quoted(text: string | null): string {
  if (text === null) return 'null'
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text.toWellFormed())
}

/** Whether nothing that may be about a person is left. */
export const isErased = (entry: Personal) =>
  (Object.keys(ERASED) as (keyof Personal)[]).every((field) => entry[field] === ERASED[field])

/** The newest link at some time. Kept elsewhere, it proves later that the log up to there is still the same. */
export type Checkpoint = {
  deliveryId: number
  receivedAt: number
  link: string
  /** Whose chain it is of, where several nodes write to one store. */
  node?: string
}

/** As JSON, everywhere the same. */
export const checkpointJson = ({ deliveryId, receivedAt, link, node }: Checkpoint) => ({
  delivery_id: deliveryId,
  received_at: new Date(receivedAt).toISOString(),
  link,
  ...(node !== undefined && { node }),
})

/** As one line, for a file to which one is added now and then. */
export const checkpointLine = ({ deliveryId, receivedAt, link, node }: Checkpoint) =>
  `ticketflow-audit ${deliveryId} ${new Date(receivedAt).toISOString()} ${link}${node === undefined ? '' : ` ${node}`}`

const LINE = /^\s*ticketflow-audit ([1-9]\d{0,15}) (\S+) ([0-9a-f]{64})(?: ([A-Za-z0-9][\w.-]{0,79}))?\s*$/

/** Every checkpoint in a text: lines of checkpointLine, or what the API answers. Null when something in it is none. */
export function checkpointsIn(text: string): Checkpoint[] | null {
  const lines = text.trimStart().startsWith('{') ? linesOfJson(text) : text.split('\n').filter((line) => line.trim())
  const found = lines.map((line): Checkpoint => {
    const [, id, time = '', link = '', node] = LINE.exec(line) ?? []
    const checkpoint = { deliveryId: Number(id), receivedAt: Date.parse(time), link }
    return node === undefined ? checkpoint : Object.assign(checkpoint, { node })
  })
  return found.length === 0 || found.some((one) => one.link === '' || Number.isNaN(one.receivedAt)) ? null : found
}

function linesOfJson(text: string): string[] {
  try {
    const { others = [], ...own } = JSON.parse(text) as Record<string, unknown>
    return [own, ...(Array.isArray(others) ? others : [''])].map(
      ({ delivery_id: id, received_at: time, link, node }) =>
        `ticketflow-audit ${String(id)} ${String(time)} ${String(link)}${node === undefined ? '' : ` ${String(node)}`}`,
    )
  } catch {
    return ['']
  }
}
