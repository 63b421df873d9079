import type { Checkpoint } from '../core/audit.ts'
import { type Client, fault, type Pool, query, type Row } from './postgres-connect.ts'
import { DELIVERY, deliveryOf, numberOrNull, textOrNull } from './rows.ts'
import type { Anchor, AuditReader, AuditRow } from './store.ts'

// Hashed where it lies: a page of bodies would be half a gigabyte.
export const AUDIT_COLUMNS = `${DELIVERY}, salt, link, seal,
  encode(sha256(coalesce(body_bytes, convert_to(body, 'UTF8'))), 'hex') as kept_sha256`

/** The audit log of a database: a chain a node. Asked of none in particular, it answers for `own`. */
export function createPostgresAudit(pool: Pool, own: string): AuditReader {
  /** Runs what has to see one state of the store. */
  async function atOnce<T>(read: (client: Client) => Promise<T>): Promise<T> {
    let client: Client | undefined
    try {
      client = await pool.connect()
      const [, result] = await Promise.all([
        client.query('begin isolation level repeatable read read only'),
        read(client),
      ])
      await client.query('commit')
      client.release()
      return result
    } catch (error) {
      client?.release(true)
      throw fault(error)
    }
  }

  async function checkpoint(node = own): Promise<Checkpoint | null> {
    const row = await atOnce((client) => newest(client, node))
    if (row === undefined || row['link'] === null) return null
    return { deliveryId: Number(row['id']), receivedAt: Number(row['received_at']), link: String(row['link']), node }
  }

  return {
    auditNodes: () =>
      atOnce(async (client) => (await query(client, 'select id from nodes order by id')).map(({ id }) => String(id))),
    checkpoint,
    auditStart: (node = own) =>
      atOnce(async (client) => {
        const start = await anchor(client, node)
        const [last, [before]] = await Promise.all([
          newest(client, node),
          query(
            client,
            `select count(*) as rows, min(id) as first, min(id) filter (where link is not null) as linked
             from deliveries where node = $1 and id <= $2`,
            [node, start.deliveryId],
          ),
        ])
        return {
          anchor: start,
          newest: Number(last?.['id'] ?? 0),
          node,
          before: {
            rows: Number(before?.['rows']),
            first: numberOrNull(before?.['first'] ?? null),
            firstLinked: numberOrNull(before?.['linked'] ?? null),
          },
        }
      }),
    auditPage: (after, limit, node = own) =>
      atOnce(async (client) => {
        const [start, rows] = await Promise.all([
          anchor(client, node),
          query(client, `select ${AUDIT_COLUMNS} from deliveries where node = $1 and id > $2 order by id limit $3`, [
            node,
            after,
            limit,
          ]),
        ])
        return { anchor: start, rows: rows.map(auditRow) }
      }),
  }
}

/** Of a row with AUDIT_COLUMNS. */
export function auditRow(row: Row): AuditRow {
  const keptSha256 = textOrNull(row['kept_sha256'])
  return {
    ...deliveryOf(row),
    hasBody: keptSha256 !== null,
    keptSha256,
    salt: textOrNull(row['salt']),
    link: textOrNull(row['link']),
    seal: textOrNull(row['seal']),
  }
}

async function anchor(client: Client, node: string): Promise<Anchor> {
  const [row] = await query(client, 'select anchor_delivery, anchor_link from nodes where id = $1', [node])
  return { deliveryId: Number(row?.['anchor_delivery'] ?? 0), link: String(row?.['anchor_link'] ?? '') }
}

async function newest(client: Client, node: string): Promise<Row | undefined> {
  const text = 'select id, received_at, link from deliveries where node = $1 order by id desc limit 1'
  return (await query(client, text, [node]))[0]
}
