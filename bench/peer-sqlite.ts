// (c) The practical limit: node:http, one SQLite table, synchronous=FULL, one commit for all that waits. No validation,
// no audit row, no de-duplication, no history.
import { createServer, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

const db = new DatabaseSync(join(process.env['TICKETFLOW_DATA_DIR'] ?? '.', 'limit.db'))
db.exec(`
  pragma journal_mode = wal; pragma synchronous = full;
  create table if not exists tickets (id integer primary key, title text, description text, category text, priority text,
    email text, external_id text, platform text, metadata text, created_at integer)`)
const insert =
  db.prepare(`insert into tickets (title, description, category, priority, email, external_id, platform, metadata,
  created_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?)`)
const [begin, commit] = [db.prepare('begin'), db.prepare('commit')]

let waiting: { ticket: Record<string, string>; response: ServerResponse }[] = []

function flush(): void {
  const group = waiting
  waiting = []
  begin.run()
  const answers = group.map(({ ticket }) => {
    const { title, description, category, priority, customer_email, id, platform, metadata } = ticket
    const now = Date.now()
    const { lastInsertRowid } = insert.run(
      title ?? null,
      description ?? null,
      category ?? null,
      priority ?? null,
      customer_email ?? null,
      id ?? null,
      platform ?? null,
      JSON.stringify(metadata),
      now,
    )
    return JSON.stringify({ ...ticket, external_id: id, id: Number(lastInsertRowid), created_at: now })
  })
  commit.run()
  group.forEach(({ response }, index) => {
    const body = answers[index] ?? ''
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }).end(body)
  })
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    waiting.push({ ticket: JSON.parse(Buffer.concat(chunks).toString('utf8')), response })
    if (waiting.length === 1) setImmediate(flush)
  })
})
server.listen(Number(process.env['PORT']), '127.0.0.1')
