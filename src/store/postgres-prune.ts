import { type Client, fault, isOutage, type Pool, query, transaction } from './postgres-connect.ts'
import { endOfPart, makePartsAhead } from './postgres-schema.ts'

const CHUNK = 1000
/** How long a part that is to go may hold up everybody else; else its rows go a few at a time. */
const LOCK_MS = 2_000

/** See Store.prune. Each node's chain loses its beginning, and whole months go at once where nothing of them is left. */
export async function pruneDeliveries(
  pool: Pool,
  url: string,
  times: { before: number; now: number },
): Promise<number> {
  try {
    const nodes = (await query(pool, 'select id from nodes order by id')).map(({ id }) => String(id))
    let pruned = 0
    for (const node of nodes) {
      for (let gone = CHUNK; gone === CHUNK; pruned += gone) {
        gone = await transaction(pool, (client) => pruneChunk(client, node, times.before))
      }
    }
    await dropEmptyParts(pool, times.before)
    await makePartsAhead(url, times.now)
    return pruned
  } catch (error) {
    throw fault(error)
  }
}

/** The newest row of a node always stays: it is where its chain goes on. */
async function pruneChunk(client: Client, node: string, before: number): Promise<number> {
  const [head] = await query(client, 'select newest_delivery from nodes where id = $1 for update', [node])
  const oldest = await query(
    client,
    'select id, received_at, link from deliveries where node = $1 and id < $2 order by id limit $3',
    [node, Number(head?.['newest_delivery']), CHUNK],
  )
  const kept = oldest.findIndex((row) => Number(row['received_at']) >= before)
  const gone = oldest.slice(0, kept < 0 ? oldest.length : kept)
  const last = gone.at(-1)
  if (last === undefined) return 0
  const id = Number(last['id'])
  await Promise.all([
    query(client, 'update nodes set anchor_delivery = $2, anchor_link = $3 where id = $1', [node, id, last['link']]),
    query(client, 'delete from delivery_keys where node = $1 and delivery_id <= $2', [node, id]),
    query(client, 'delete from deliveries where node = $1 and id <= $2', [node, id]),
  ])
  return gone.length
}

/** A month that is past its retention and empty: its file goes, with all the room that its rows left behind. */
async function dropEmptyParts(pool: Pool, before: number): Promise<void> {
  const parts = await query(
    pool,
    `select relname from pg_class where oid in (select inhrelid from pg_inherits where inhparent = 'deliveries'::regclass)
     order by relname`,
  )
  for (const name of parts.map((row) => String(row['relname']))) {
    const end = endOfPart(name)
    if (end !== null && end <= before) await dropPart(pool, name)
  }
}

/** `name` is of endOfPart, and so no more than letters, digits and a line. */
async function dropPart(pool: Pool, name: string): Promise<void> {
  const firstRow = `select 1 from ${name} limit 1`
  if ((await pool.query(firstRow)).rowCount !== 0) return
  try {
    await transaction(pool, async (client) => {
      await client.query(`set local lock_timeout = ${LOCK_MS}`)
      // Nobody writes into it from here on, so that empty is empty.
      await client.query('lock table deliveries in access exclusive mode')
      if ((await client.query(firstRow)).rowCount === 0) await client.query(`drop table ${name}`)
    })
  } catch (error) {
    if (!isOutage(error)) throw error
    // Somebody reads for longer than that: the next round tries again.
  }
}
