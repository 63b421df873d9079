import { rm } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { bondOf, createSessions, sessionToken } from '../../src/intake/sessions.ts'
import { openSqliteStore, type SqliteStore } from '../../src/store/sqlite.ts'
import { temporaryDirectory } from '../server.ts'

const HOUR = 3_600_000
const KEY = { id: 'tf_1', hash: 'of the key' }

let directory: string
let store: SqliteStore
let asked: number
beforeEach(async () => {
  directory = await temporaryDirectory()
  store = await openSqliteStore({ directory, maxQueued: 1, maxQueuedBytes: 1, onDeath: () => {} })
  asked = 0
})
afterEach(async () => {
  await store.close()
  await rm(directory, { recursive: true, force: true })
})

/** What a node has, of which several may be on one store. */
function startNode() {
  const { sessionStore } = store
  const sessions = createSessions({
    ...sessionStore,
    session: (hash) => {
      asked += 1
      return sessionStore.session(hash)
    },
  })
  const find = async (token: string, now: number, isPassive = false) => {
    await sessions.recognise(token, now)
    return sessions.find(token, now, isPassive)
  }
  return { ...sessions, find }
}

describe('sessions', () => {
  test('a session ends after twelve hours, however often it is used', async () => {
    const sessions = startNode()
    const { token } = await sessions.begin(KEY, 0)
    for (let hour = 1; hour < 12; hour += 1) {
      expect(await sessions.find(token, hour * HOUR)).toMatchObject({ keyId: 'tf_1', bond: bondOf(token, KEY) })
      await sessions.noteSeen()
    }
    expect(await sessions.find(token, 12 * HOUR)).toBeNull()
  })

  test('a session ends after two hours without a request; what a page does by itself is none', async () => {
    const sessions = startNode()
    const { token } = await sessions.begin(KEY, 0)
    expect(await sessions.find(token, 1.9 * HOUR, true)).not.toBeNull()
    await sessions.noteSeen()
    expect(await sessions.find(token, 2 * HOUR)).toBeNull()
  })

  test('who is busy at one node is not idle at another', async () => {
    const [a, b] = [startNode(), startNode()]
    const { token } = await a.begin(KEY, 0)
    expect(await a.find(token, 1.5 * HOUR)).not.toBeNull()
    await a.noteSeen()
    expect(await b.find(token, 3 * HOUR)).not.toBeNull()
  })

  test('the store is asked once in half a minute, and at once after any session has ended', async () => {
    const sessions = startNode()
    const { token } = await sessions.begin(KEY, 0)
    const other = await sessions.begin(KEY, 0)
    for (let second = 0; second < 30; second += 1) expect(await sessions.find(token, second * 1000)).not.toBeNull()
    expect(asked).toBe(1)
    await sessions.find(token, 30_000)
    expect(asked).toBe(2)
    await sessions.end(other.token)
    expect(await sessions.find(token, 30_001)).not.toBeNull()
    expect(asked).toBe(3)
    await sessions.end(token)
    expect(await sessions.find(token, 30_002)).toBeNull()
  })

  test('one that ends while the store is asked for it is not taken for good', async () => {
    const { sessionStore } = store
    const { token } = await createSessions(sessionStore).begin(KEY, 0)
    let isFirst = true
    const sessions = createSessions({
      ...sessionStore,
      session: async (hash) => {
        const found = await sessionStore.session(hash)
        if (isFirst) await sessionStore.endSession(hash)
        isFirst = false
        return found
      },
    })
    await sessions.recognise(token, 0)
    expect(sessions.find(token, 0)).toBeNull()
  })

  test('an embedded store that takes no commit says so, and not that there is no session', async () => {
    const sessions = startNode()
    const { token } = await sessions.begin(KEY, 0)
    await rm(directory, { recursive: true })
    await expect(sessions.begin(KEY, 0)).rejects.toMatchObject({ code: 'unavailable' })
    await expect(sessions.end(token)).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('of more than a hundred of a key the oldest gives way', async () => {
    const sessions = startNode()
    const tokens: string[] = []
    for (let at = 0; at < 101; at += 1) tokens.push((await sessions.begin(KEY, at)).token)
    expect(await sessions.find(tokens[0] ?? '', 0)).toBeNull()
    expect(await sessions.find(tokens[1] ?? '', 0)).not.toBeNull()
  })

  test('only its own cookie is a token', () => {
    expect(sessionToken({ cookie: 'a=b; ticketflow_session=abc' })).toBe('abc')
    expect(sessionToken({ cookie: 'xticketflow_session=abc' })).toBeNull()
    expect(sessionToken({ cookie: 'ticketflow_session=a b' })).toBeNull()
    expect(sessionToken({})).toBeNull()
  })
})
