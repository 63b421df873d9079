import { rm } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect } from 'vitest'
import { storePath } from '../../src/store/sqlite-files.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { temporaryDirectory } from '../server.ts'
import { type OpenSubject, storeContract } from './store.ts'
import { triageContract } from './triage.ts'

const sqlite: OpenSubject = async ({ maxQueued = 10_000 } = {}) => {
  const directory = await temporaryDirectory()
  const open = () =>
    openSqliteStore({
      directory,
      maxQueued,
      maxQueuedBytes: 67_108_864,
      notary: (facts) => facts.map((one) => JSON.stringify(one)),
      onDeath: (error) => expect.unreachable(error.message),
    })
  let store = await open()
  return {
    store,
    reopen: async () => {
      await store.close()
      store = await open()
      return store
    },
    audit: async () => {
      const db = new DatabaseSync(storePath(directory), { readOnly: true })
      const number = (sql: string) => Number(Object.values(db.prepare(sql).get() ?? {})[0])
      const orphans = ['deliveries', 'timeline', 'jobs'].map((table) =>
        number(
          `select count(*) from ${table} where ticket_id is not null and ticket_id not in (select id from tickets)`,
        ),
      )
      const sound = db.prepare('pragma integrity_check').get()?.['integrity_check'] === 'ok'
      const jobs = number('select count(*) from jobs')
      db.close()
      return { jobs, orphans: orphans.reduce((sum, one) => sum + one), sound }
    },
    dispose: async () => {
      await store.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

for (const [name, open] of Object.entries({ sqlite })) {
  describe(`store: ${name}`, () => storeContract(open))
  describe(`triage: ${name}`, () => triageContract(open))
}
