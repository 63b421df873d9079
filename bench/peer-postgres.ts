// (h), (i) node:http and one PostgreSQL table: a commit for each request over a pool (PEER_COMMIT=each), or one for all
// that waits (PEER_COMMIT=group). No validation, no audit row, no de-duplication, no history.
import { createServer, type ServerResponse } from 'node:http'

import pg from 'pg'

type Ticket = Record<string, unknown>

const COLUMNS = [
  'title',
  'description',
  'category',
  'priority',
  'email',
  'external_id',
  'platform',
  'metadata',
] as const
const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 16 })
await pool.query(`create table if not exists tickets (id bigint generated always as identity primary key,
  ${COLUMNS.map((name) => `${name} text`).join(', ')}, created_at timestamptz not null default now())`)

const valuesOf = ({ title, description, category, priority, customer_email, id, platform, metadata }: Ticket) => [
  title,
  description,
  category,
  priority,
  customer_email,
  id,
  platform,
  JSON.stringify(metadata),
]

const ONE = {
  name: 'one',
  text: `insert into tickets (${COLUMNS.join(', ')}) values (${COLUMNS.map((_, at) => `$${at + 1}`).join(', ')}) returning id`,
}
// One statement whatever the size of the group, so that it is prepared once.
const MANY = {
  name: 'many',
  text: `insert into tickets (${COLUMNS.join(', ')})
    select * from unnest(${COLUMNS.map((_, at) => `$${at + 1}::text[]`).join(', ')}) returning id`,
}

function answer(response: ServerResponse, ticket: Ticket, id: unknown): void {
  const body = JSON.stringify({ ...ticket, external_id: ticket['id'], id: Number(id) })
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }).end(body)
}

async function storeEach(ticket: Ticket, response: ServerResponse): Promise<void> {
  const { rows } = await pool.query({ ...ONE, values: valuesOf(ticket) })
  answer(response, ticket, rows[0].id)
}

let waiting: { ticket: Ticket; response: ServerResponse }[] = []
let isRunning = false

async function flush(): Promise<void> {
  while (waiting.length > 0) {
    const group = waiting
    waiting = []
    const rows = group.map(({ ticket }) => valuesOf(ticket))
    const { rows: made } = await pool.query({ ...MANY, values: COLUMNS.map((_, at) => rows.map((row) => row[at])) })
    group.forEach(({ ticket, response }, index) => answer(response, ticket, made[index].id))
  }
  isRunning = false
}

function storeGroup(ticket: Ticket, response: ServerResponse): void {
  waiting.push({ ticket, response })
  if (isRunning) return
  isRunning = true
  setImmediate(() => void flush())
}

const store = process.env['PEER_COMMIT'] === 'group' ? storeGroup : storeEach
const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => void store(JSON.parse(Buffer.concat(chunks).toString('utf8')), response))
})
server.listen(Number(process.env['PORT']), '127.0.0.1')
