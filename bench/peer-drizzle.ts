// (e) What many would write first: Fastify with a schema, drizzle-orm on PostgreSQL, an insert for each request.
import { bigint, pgTable, text, timestamp } from 'drizzle-orm/pg-core'
import { drizzle } from 'drizzle-orm/node-postgres'
import Fastify from 'fastify'
import pg from 'pg'

const tickets = pgTable('tickets', {
  id: bigint({ mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
  title: text().notNull(),
  description: text().notNull(),
  category: text(),
  priority: text(),
  email: text(),
  external_id: text(),
  platform: text(),
  metadata: text(),
  created_at: timestamp().notNull().defaultNow(),
})

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 16 })
await pool.query(`create table if not exists tickets (id bigint generated always as identity primary key,
  title text not null, description text not null, category text, priority text, email text, external_id text,
  platform text, metadata text, created_at timestamp not null default now())`)
const db = drizzle(pool)

const string = { type: 'string' }
const schema = {
  body: {
    type: 'object',
    required: ['title', 'description'],
    properties: {
      title: string,
      description: string,
      category: string,
      customer_email: { type: 'string', format: 'email' },
      id: string,
      platform: string,
      priority: { enum: ['low', 'medium', 'high', 'urgent'] },
      metadata: { type: 'object' },
    },
  },
}
type Body = Record<'title' | 'description', string> &
  Partial<Record<'category' | 'priority' | 'customer_email' | 'id' | 'platform', string>> & { metadata?: object }

const app = Fastify()
app.post<{ Body: Body }>('/api/integrations/webhook', { schema }, async ({ body }) => {
  const { customer_email: email, id, metadata, ...rest } = body
  const row = { ...rest, email, external_id: id, metadata: JSON.stringify(metadata) }
  const [made] = await db.insert(tickets).values(row).returning()
  return made
})
await app.listen({ host: '127.0.0.1', port: Number(process.env['PORT']) })
