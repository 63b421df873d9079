import { rm } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'

import { expect, test } from 'vitest'

import type { Decision } from '../../src/core/decision.ts'
import { storePath } from '../../src/store/sqlite-files.ts'
import { erasePerson } from '../../src/store/sqlite-forget.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { ticketOf } from '../contract/store.ts'
import { decision } from '../contract/triage.ts'
import { temporaryDirectory } from '../server.ts'

test('what triage made of a person’s tickets goes with them, and what leans on them or names the person', async () => {
  const directory = await temporaryDirectory()
  const store = await openSqliteStore({
    directory,
    maxQueued: 100,
    maxQueuedBytes: 1_000_000,
    onDeath: (error) => expect.unreachable(error.message),
  })
  const make = async (userEmail: string | null) => (await store.submit(ticketOf({ userEmail }))).ticketId ?? 0
  const [theirs, leaning, naming, other] = [
    await make('Ada@example.com'),
    await make(null),
    await make(null),
    await make(null),
  ]
  const decide = (ticketId: number, over: Partial<Decision>) =>
    store.triage.decide({ ticketId, cause: 'created', at: 1, decision: decision(over), seen: '{}', set: {} })
  await decide(theirs, { summary: 'Her mail does not arrive.' })
  await decide(leaning, { draft_reply: { text: 'Look into quarantine.', sources: [{ kind: 'ticket', id: theirs }] } })
  await decide(naming, { summary: 'Asks about ada@example.com.' })
  await decide(other, { similar: [{ id: theirs, score: 0.5 }] })
  await store.triage.saveVectors('m', new Map([theirs, other].map((id) => [id, Int8Array.of(1)])))
  await store.close()

  const erasure = { directory, email: 'ada@example.com', actor: 'test', now: Date.now(), onProgress: () => {} }
  const rows = (sql: string) => {
    const db = new DatabaseSync(storePath(directory), { readOnly: true })
    const found = db
      .prepare(sql)
      .all()
      .map((row) => Number(row['ticket_id']))
    db.close()
    return found
  }
  const decided = () => rows('select ticket_id from triage order by ticket_id')
  await erasePerson({ ...erasure, isDry: true })
  expect(decided()).toEqual([theirs, leaning, naming, other])
  await erasePerson({ ...erasure, isDry: false })
  expect(decided()).toEqual([other])
  expect(rows('select ticket_id from vectors')).toEqual([other])
  await rm(directory, { recursive: true, force: true })
})
