import { rm } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import { ask } from '../ask.ts'
import { run } from '../cli.ts'
import { startPostgres, type TestPostgres } from '../postgres.ts'
import { discard, post, startTestServer, temporaryDirectory, type TestServer } from '../server.ts'

const TIME = 180_000

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres()
}, TIME)
afterAll(() => postgres?.stop(), TIME)

let server: TestServer | undefined
afterEach(async () => {
  await discard(server)
  server = undefined
})

const tickets = (count: number) =>
  Array.from({ length: count }, (_, at) =>
    at % 2 === 0
      ? { title: 'Jammed', description: `The printer on floor ${at} is jammed`, category: 'printers' }
      : { title: 'No pay', description: `Salary of month ${at} is missing`, category: 'payroll' },
  )

const engines = { sqlite: async () => ({}), postgres: async () => ({ DATABASE_URL: await postgres.database() }) }

describe.each(Object.entries(engines))('%s', (_, settings) => {
  test(
    'tries on the newer part of a store what its older part teaches, while the server runs',
    async () => {
      const env: Record<string, string> = { ...(await settings()), TICKETFLOW_DATA_DIR: await temporaryDirectory() }
      server = await startTestServer(env)
      const { url, webhook } = server
      const send = (count: number) => post(`${webhook}/batch`, tickets(count))
      const tryIt = (...args: string[]) =>
        run(process.execPath, ['bin/ticketflow.js', 'triage', 'backtest', '--embedder', 'none', ...args], env, TIME)

      await send(20)
      const few = await tryIt()
      expect(few).toMatchObject({ code: 1, stderr: expect.stringContaining('At least 30 are needed before') })
      expect(few.stderr.trim().split('\n')).toHaveLength(1)

      await send(30)
      await delay(20)
      await send(14)
      // An old ticket that somebody sorted just now is of the newer part, as what they said.
      await ask(`${url}/api/tickets/1`, { method: 'PATCH', body: { category: 'payroll' } })
      const { code, stdout, stderr } = await tryIt('--json')
      expect([code, stderr]).toEqual([0, ''])
      const week = expect.stringMatching(/^20\d\d-\d\d-\d\d$/)
      expect(JSON.parse(stdout)).toMatchObject({
        field: 'category',
        embedder: 'none',
        promised: 0.95,
        learned: 49,
        tickets: 15,
        accuracy: 14 / 15,
        coverage: 0,
        precision: null,
        by_value: [
          { value: 'payroll', tickets: 8, precision: 1, recall: 7 / 8 },
          { value: 'printers', tickets: 7, precision: 7 / 8, recall: 1 },
        ],
        by_week: [{ week, tickets: 15, right: 14, sure: 0, sure_right: 0 }],
        problem: null,
      })
      const shown = (await tryIt()).stdout
      expect(shown).toMatch(/accuracy +93\.3 % +15 tickets, 2 categories/)
      expect(shown).toMatch(/printers +7 +87\.5 % +100\.0 %/)
      expect(shown).toContain('Nothing is promised: that takes 150 tickets')
      await rm(env['TICKETFLOW_DATA_DIR'] ?? '', { recursive: true, force: true })
    },
    TIME,
  )
})

test('says in a line what is wrong', { timeout: TIME }, async () => {
  const env = { TICKETFLOW_DATA_DIR: await temporaryDirectory() }
  const wrong = [
    [[], 'There is no store in'],
    [['--last', '120%'], 'It must be a share from 1% to 90%'],
    [['--since', 'yesterday'], 'It must be a date such as'],
    [['--since', '2026-11-01', '--last', '0.2'], 'cannot be used with'],
    [['--field', 'mood'], 'category, priority'],
    [['--embedder', 'ftp://x'], '--embedder is'],
  ] as const
  for (const [args, text] of wrong) {
    const { code, stderr } = await run(
      process.execPath,
      ['bin/ticketflow.js', 'triage', 'backtest', ...args],
      env,
      TIME,
    )
    expect({ args, code, stderr }).toEqual({ args, code: 1, stderr: expect.stringContaining(text) })
    expect(stderr).not.toContain('    at ')
  }
  await rm(env.TICKETFLOW_DATA_DIR, { recursive: true, force: true })
})
