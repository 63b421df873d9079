import { describe, expect, test } from 'vitest'
import { createSessions, sessionToken } from '../../src/intake/sessions.ts'

const HOUR = 3_600_000

describe('sessions', () => {
  test('a session ends after twelve hours, however often it is used', () => {
    const sessions = createSessions()
    const { token } = sessions.begin('key', 0)
    for (let hour = 1; hour < 12; hour += 1) expect(sessions.find(token, hour * HOUR)?.keyHash).toBe('key')
    expect(sessions.find(token, 12 * HOUR)).toBeNull()
    expect(sessions.find(token, HOUR)).toBeNull()
  })

  test('a session ends after two hours without a request; what a page does by itself is none', () => {
    const sessions = createSessions()
    const { token } = sessions.begin('key', 0)
    expect(sessions.find(token, 1.9 * HOUR, true)).not.toBeNull()
    expect(sessions.find(token, 2 * HOUR)).toBeNull()
  })

  test('of more than a thousand the oldest gives way', () => {
    const sessions = createSessions()
    const tokens = Array.from({ length: 1001 }, (_, n) => sessions.begin(String(n), 0).token)
    expect(sessions.find(tokens[0] ?? '', 0)).toBeNull()
    expect(sessions.find(tokens[1] ?? '', 0)).not.toBeNull()
  })

  test('only its own cookie is a token', () => {
    expect(sessionToken({ cookie: 'a=b; ticketflow_session=abc' })).toBe('abc')
    expect(sessionToken({ cookie: 'xticketflow_session=abc' })).toBeNull()
    expect(sessionToken({ cookie: 'ticketflow_session=a b' })).toBeNull()
    expect(sessionToken({})).toBeNull()
  })
})
