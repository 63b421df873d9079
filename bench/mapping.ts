/**
 * What it costs to recognise and map a native payload, beside the flat form: CPU of this process alone, the two
 * interleaved, medians of many rounds. `npm run bench:mapping`.
 */
import { parseBody } from '../src/intake/body.ts'
import { eventsIn, incomingOf, loadPlatforms } from '../src/intake/platforms.ts'
import type { RawRequest } from '../src/intake/request.ts'
import { lowerCased, recorded } from '../test/fixtures.ts'
import { median } from './stats.ts'

const ROUNDS = 61
const PER_ROUND = 2_000

const platforms = await loadPlatforms()
const zendesk = recorded('zendesk-ticket-created-event')

const request = (body: string, headers: Record<string, string>): RawRequest => ({
  id: 'bench',
  sourceId: null,
  url: '',
  receivedAt: 0,
  address: '127.0.0.1',
  method: 'POST',
  path: '/api/integrations/webhook',
  headers: { host: 'localhost', 'content-type': 'application/json', 'content-length': String(body.length), ...headers },
  body: Buffer.from(body),
})

const said = JSON.parse(zendesk.raw_body)
const flat = {
  id: said.detail.id,
  platform: 'zendesk',
  title: said.detail.subject,
  description: said.detail.description,
  priority: said.detail.priority,
  category: said.detail.type,
  user_id: said.detail.requester_id,
  updated_at: said.detail.updated_at,
  metadata: { tags: said.detail.tags, via: said.detail.via.channel },
}

/** As many bytes as the Zendesk event has, so that the two differ in nothing but their shape. */
const missing = zendesk.raw_body.length - JSON.stringify(flat).length - ',"notes":""'.length
const flatBody = JSON.stringify({ ...flat, metadata: { ...flat.metadata, notes: 'x'.repeat(missing) } })

const cases = {
  flat: request(flatBody, {}),
  'zendesk, by its header': request(zendesk.raw_body, lowerCased(zendesk.headers)),
  'zendesk, by its shape': request(zendesk.raw_body, {}),
}
type Case = keyof typeof cases
const names = Object.keys(cases) as Case[]

/** What the pipeline does between the parsed body and the store. */
function map(incoming: RawRequest, body: unknown): void {
  const { platform, events } = eventsIn(platforms, incoming, body)
  const event = incomingOf(platforms, incoming, events[0])
  platform.deliveryId?.(event)
  const read = platform.read(event)
  if (!('draft' in read)) throw new Error(`${platform.id} made no ticket of it`)
  JSON.stringify(read.draft.metadata)
}

function measure(name: Case): number {
  const incoming = cases[name]
  const bodies = Array.from({ length: PER_ROUND }, () => parseBody(incoming, incoming.body))
  const before = process.cpuUsage()
  for (const body of bodies) map(incoming, body)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / PER_ROUND
}

const times: Record<Case, number[]> = { flat: [], 'zendesk, by its header': [], 'zendesk, by its shape': [] }
for (let round = 0; round < ROUNDS; round += 1) for (const name of names) times[name].push(measure(name))

const flatTime = median(times.flat)
for (const name of names) {
  const time = median(times[name])
  const more = name === 'flat' ? '' : `  ${(time - flatTime).toFixed(1)} µs more than flat`
  console.log(`${name.padEnd(24)} ${time.toFixed(1).padStart(6)} µs CPU, ${cases[name].body.length} bytes${more}`)
}
