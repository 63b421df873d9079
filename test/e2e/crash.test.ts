import { randomInt, randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { storePath } from '../../src/store/sqlite-files.ts'
import { post, startTestServer, temporaryDirectory } from '../server.ts'

const ROUNDS = 20
const SENDERS = 12

type Unsent = { key: string; titles: string[] }

/** What is sent under one key: a ticket, a ticket with an external id, or a batch; all found by their titles. */
function nextWork(): Unsent {
  const key = randomUUID()
  return { key, titles: Array.from({ length: randomInt(4) === 0 ? 5 : 1 }, (_, index) => `${key}/${index}`) }
}

async function send(webhook: string, { key, titles }: Unsent): Promise<number[]> {
  const tickets = titles.map((title) => ({ title, description: 'd', id: title, platform: 'drill' }))
  const headers = { 'Idempotency-Key': key }
  if (tickets.length === 1) return [(await post(webhook, tickets[0], headers)).json.id]
  const { json } = await post(`${webhook}/batch`, tickets, headers)
  return json.created_tickets.map(({ ticket_id }: { ticket_id: number }) => ticket_id)
}

test(
  `SIGKILL at random moments under load, ${ROUNDS} rounds: nothing acknowledged is lost, nothing is doubled`,
  { timeout: 120_000 },
  async () => {
    const directory = await temporaryDirectory()
    const acknowledged = new Map<string, number>()
    // What was under way when the server died is sent again, with its key, to the next one.
    let unsure: Unsent[] = []
    let kills = 0

    for (let round = 0; round <= ROUNDS; round += 1) {
      const server = await startTestServer({ TICKETFLOW_DATA_DIR: directory })
      const isLast = round === ROUNDS
      const again = unsure
      unsure = []
      const load = { running: true }
      const sender = async () => {
        while (load.running) {
          const work = again.pop() ?? (isLast ? undefined : nextWork())
          if (work === undefined) return
          try {
            const ids = await send(server.webhook, work)
            work.titles.forEach((title, index) => acknowledged.set(title, ids[index] ?? -1))
          } catch {
            unsure.push(work)
          }
        }
      }
      const senders = Array.from({ length: SENDERS }, sender)
      if (isLast) {
        await Promise.all(senders)
        expect(await server.stop('SIGTERM')).toBe(0)
      } else {
        await new Promise((resolve) => setTimeout(resolve, randomInt(20, 300)))
        await server.stop('SIGKILL')
        kills += 1
        load.running = false
        await Promise.all(senders)
        // What this server was not even sent is as unsure as before.
        unsure.push(...again)
      }
    }

    const db = new DatabaseSync(storePath(directory), { readOnly: true })
    const number = (sql: string) => Number(Object.values(db.prepare(sql).get() ?? {})[0])
    const stored = new Map(
      db
        .prepare('select title, id from tickets')
        .all()
        .map((row) => [row['title'], row['id']]),
    )
    expect(kills).toBe(ROUNDS)
    expect(unsure).toEqual([])
    expect(acknowledged.size).toBeGreaterThan(ROUNDS * 10)
    expect([...acknowledged].filter(([title, id]) => stored.get(title) !== id)).toEqual([])
    expect(number('select count(*) from tickets')).toBe(stored.size)
    // All was sent until it was acknowledged, so there is no ticket that nobody knows of.
    expect(stored.size).toBe(acknowledged.size)
    expect(number('select count(*) from jobs where ticket_id not in (select id from tickets)')).toBe(0)
    expect(number('select count(*) from tickets where id not in (select ticket_id from jobs)')).toBe(0)
    expect(
      number(
        'select count(*) from deliveries where ticket_id is not null and ticket_id not in (select id from tickets)',
      ),
    ).toBe(0)
    expect(number('select count(*) from tickets where delivery_id not in (select id from deliveries)')).toBe(0)
    expect(db.prepare('pragma integrity_check').get()).toEqual({ integrity_check: 'ok' })
    db.close()
    await rm(directory, { recursive: true, force: true })
  },
)
