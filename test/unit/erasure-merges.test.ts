import { rm } from 'node:fs/promises'

import { expect, test } from 'vitest'

import { ERASED_TEXT } from '../../src/core/erasure.ts'
import { erasePerson } from '../../src/store/sqlite-forget.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { ticketOf } from '../contract/store.ts'
import { temporaryDirectory } from '../server.ts'

test('a merged ticket of an erased person stays merged, and nothing of it was ever on the other', async () => {
  const directory = await temporaryDirectory()
  const open = () =>
    openSqliteStore({
      directory,
      maxQueued: 100,
      maxQueuedBytes: 1_000_000,
      onDeath: (error) => expect.unreachable(error.message),
    })
  const before = await open()
  const theirs = { externalId: '1', userEmail: 'ada@example.com' }
  await before.submit(ticketOf(theirs))
  await before.submit(ticketOf({ userEmail: 'bob@example.com' }))
  await before.mergeTicket(1, 2, 'api')
  await before.submit(ticketOf({ ...theirs, title: 'Ada is locked out' }))
  const other = await before.timeline(2)
  await before.close()

  const erasure = { directory, email: 'ada@example.com', actor: 'test', now: Date.now(), onProgress: () => {} }
  expect(await erasePerson({ ...erasure, isDry: false })).toMatchObject({
    tickets: 1,
    mentions: 0,
    left: {},
    files: [],
  })
  const store = await open()
  expect(await store.timeline(2)).toEqual(other)
  expect((await store.timeline(1))?.[1]).toMatchObject({ kind: 'merged', changes: { merged_into: { to: 2 } } })
  expect(await store.mergedInto(2)).toEqual([1])
  expect(await store.unmergeTicket(1, 'api')).toMatchObject({ title: ERASED_TEXT, status: 'new', merged: null })
  // Of the one that stands for it, as well.
  await store.mergeTicket(2, 1, 'api')
  await store.close()
  await erasePerson({ ...erasure, email: 'bob@example.com', isDry: false })
  const last = await open()
  expect((await last.timeline(2))?.map(({ kind, changes }) => [kind, changes])).toMatchObject([
    ['created', {}],
    ['merged', { merged: { to: 1 } }],
    ['relayed', { relayed: { to: { ticket: 1, kind: 'updated' } } }],
    ['unmerged', { merged: { from: 1 } }],
    ['merged', { merged_into: { to: 1 } }],
    ['erased', {}],
  ])
  await last.close()
  await rm(directory, { recursive: true, force: true })
})
