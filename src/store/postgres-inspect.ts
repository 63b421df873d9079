import { Client } from 'pg'

import { clientConfig, type Row } from './postgres-connect.ts'
import { newestDatabaseSchema, unusable } from './postgres-schema.ts'

/** What there is in a database, without changing anything: `schema` is 0 before the first start. Throws StoreError. */
export async function inspectDatabase(url: string): Promise<{
  version: string
  schema: number
  newestSchema: number
  bytes: number
  /** Connections that are used, and how many there may be. */
  connections: { used: number; most: number }
}> {
  const client = new Client(clientConfig(url, 'ticketflow doctor'))
  client.on('error', () => {}) // the question that waits says so
  try {
    await client.connect()
    const { rows } = await client.query<Row>(`
      select current_setting('server_version') as version, to_regclass('ticketflow_schema') is not null as known,
        pg_database_size(current_database()) as bytes, current_setting('max_connections')::int as most,
        (select count(*) from pg_stat_activity where backend_type = 'client backend') as used`)
    const [found] = rows
    const schema =
      found?.['known'] === true
        ? (await client.query<Row>('select coalesce(max(version), 0) as version from ticketflow_schema')).rows[0]
        : undefined
    return {
      version: String(found?.['version']),
      schema: Number(schema?.['version'] ?? 0),
      newestSchema: newestDatabaseSchema(),
      bytes: Number(found?.['bytes']),
      connections: { used: Number(found?.['used']), most: Number(found?.['most']) },
    }
  } catch (cause) {
    throw unusable(cause)
  } finally {
    await client.end().catch(() => {})
  }
}
