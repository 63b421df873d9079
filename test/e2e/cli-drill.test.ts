import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { acknowledge, judge, type Ledger, type StoredTicket, type Told } from '../../src/cli/drill-judge.ts'
import { createSenders } from '../../src/cli/drill-senders.ts'
import { createWork } from '../../src/cli/drill-work.ts'
import type { Platform } from '../../src/core/platform.ts'
import freshdesk from '../../src/platforms/freshdesk.ts'
import jira from '../../src/platforms/jira.ts'
import servicenow from '../../src/platforms/servicenow.ts'
import zendesk from '../../src/platforms/zendesk.ts'
import { indexPath, storePath } from '../../src/store/sqlite-files.ts'
import { run, ticketflow } from '../cli.ts'
import { ROOT, temporaryDirectory } from '../server.ts'

let folder: string
beforeEach(async () => {
  folder = await temporaryDirectory()
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** Processes that work in the folder; the scratch server's own is there. */
function processesIn(path: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/cwd`).startsWith(path)
    } catch {
      return false // it has ended, or is somebody else's
    }
  })
}

type Drill = { child: ChildProcess; said: () => string; ended: Promise<{ code: number | null; signal: string | null }> }

/** A drill that something is done to when it has said `line` on standard error. */
async function drillUntil(line: string, args: string[]): Promise<Drill> {
  const child = spawn(process.execPath, ['bin/ticketflow.js', 'drill', '--dir', folder, ...args], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
    child.once('close', (code, signal) => resolve({ code, signal })),
  )
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  await new Promise<void>((resolve) => {
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      if (said.includes(line)) resolve()
    })
    child.once('close', () => resolve())
  })
  return { child, said: () => said, ended }
}

const scratch = () => join(folder, readdirSync(folder)[0] ?? 'no scratch folder', 'data')
// Few senders, so that the tests beside these keep a core.
const QUICK = ['--seconds-between', '0.5', '--connections', '4']

describe('ticketflow drill', { timeout: 90_000 }, () => {
  test('kills a real server three times, loses and doubles nothing, and leaves nothing behind', async () => {
    const args = ['drill', '--kills', '3', ...QUICK, '--dir', folder, '--json']
    const { code, stdout, stderr } = await run(process.execPath, ['bin/ticketflow.js', ...args], {}, 80_000)
    const report = JSON.parse(stdout)
    expect(report).toMatchObject({ ok: true, kills: 3, lost: 0, doubled: 0, stale: 0, refused: 0, unanswered: 0 })
    expect(report).toMatchObject({ faults: [], folder: null })
    expect(code).toBe(0)
    expect(report.acknowledged).toBeGreaterThan(50)
    expect(report.stored).toBe(report.acknowledged)
    expect(report.answers).toBeGreaterThan(report.acknowledged)
    expect(report.ready.again).toHaveLength(3)
    for (const figure of ['retries', 'duplicates', 'reordered']) expect(report[figure]).toBeGreaterThan(0)
    expect(report.latency.p99).toBeGreaterThanOrEqual(report.latency.p50)
    expect(report.latency.p50).toBeGreaterThan(0)
    expect(stderr.match(/^kill \d of 3, ready again after \d+ ms: /gm)).toHaveLength(3)
    expect(readdirSync(folder)).toEqual([])
    expect(processesIn(folder)).toEqual([])
  })

  test('a store that forgets is found out, in words, and kept', async () => {
    // Time enough to take the files away before the second kill, also on a busy machine.
    const drill = await drillUntil('kill 1 of 2', ['--kills', '2', '--seconds-between', '3', '--connections', '4'])
    const forgotten = scratch()
    // With the index: where that is left, the server itself notices, and does not start.
    for (const path of [storePath(forgotten), indexPath(forgotten)]) {
      for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true })
    }
    expect(await drill.ended).toEqual({ code: 1, signal: null })
    expect(drill.said()).toMatch(/^fail {2}lost +[1-9]/m)
    expect(drill.said()).toMatch(/→ lost: \w+ \S+ was acknowledged as ticket \d+ and is/)
    expect(drill.said()).toContain(`The data is kept in ${join(forgotten, '..')}`)
    expect(processesIn(folder)).toEqual([])
  })

  test('a server that does not start again ends it, with what that server said', async () => {
    const drill = await drillUntil('kill 1 of 2', ['--kills', '2', ...QUICK, '--json'])
    const damaged = scratch()
    for (const suffix of ['-wal', '-shm']) rmSync(storePath(damaged) + suffix, { force: true })
    writeFileSync(storePath(damaged), 'no database '.repeat(1000))
    expect(await drill.ended).toEqual({ code: 1, signal: null })
    expect(drill.said()).toMatch(/The drill failed: The server ended by itself .*tickets\.db/)
    expect(drill.said()).toContain(`Its data is kept in ${join(damaged, '..')}`)
    expect(processesIn(folder)).toEqual([])
  })

  test.each(['SIGINT', 'SIGTERM'] as const)('%s ends it: no server, no folder', async (signal) => {
    const drill = await drillUntil('kill 1 of', QUICK)
    expect(processesIn(folder)).toHaveLength(1)
    drill.child.kill(signal)
    expect(await drill.ended).toEqual({ code: null, signal })
    expect(processesIn(folder)).toEqual([])
    expect(readdirSync(folder)).toEqual([])
  })

  test.each([
    { args: ['--kills', '0'], says: 'It must be a whole number from 1 to 10,000.' },
    { args: ['--connections', '2.5'], says: 'It must be a whole number from 1 to 256.' },
    { args: ['--dir', '/nowhere/at/all'], says: '--dir /nowhere/at/all is not there; make it first' },
  ])('refuses $args', async ({ args, says }) => {
    const { code, stderr } = await ticketflow(['drill', ...args])
    expect(code).toBe(1)
    expect(stderr).toContain(says)
  })
})

describe('what the senders of the drill send', () => {
  const SECRET = 'drill-secret-0001'
  const platforms: Record<string, Platform> = { zendesk, jira, freshdesk, servicenow }
  const work = createWork(createSenders(SECRET))
  const first = Array.from({ length: 2000 }, () => work.next()).filter((delivery) => delivery !== null)
  work.finish()
  const rest = []
  for (let delivery = work.next(); delivery !== null; delivery = work.next()) rest.push(delivery)
  const all = [...first, ...rest]

  test.each(Object.entries(platforms))('%s would accept and understands it', (name, platform) => {
    const own = all.filter(({ told }) => told.platform === name)
    expect(own.length).toBeGreaterThan(100)
    for (const { told, body, headers } of own) {
      const [sent, payload] = [headers(), JSON.parse(body)]
      const request = { method: 'POST', url: 'http://localhost/', headers: sent, body: Buffer.from(body) }
      const [scheme] = Object.values(platform.schemes)
      expect(scheme?.(request, [SECRET], Date.now())).toBeNull()
      expect(scheme?.({ ...request, body: Buffer.from(`${body} `) }, ['another'], Date.now())).toBe('mismatch')
      expect(platform.recognises(payload, sent)).toBe(true)
      const event = platform.read({ headers: sent, payload })
      if (!('draft' in event)) return expect.fail(`${body} is ${event.kind}`)
      expect(event.draft.metadata['external_id']).toBe(told.externalId)
      expect(event.draft.event?.comment?.body ?? null).toBe(told.comment)
      expect(event.draft.sentUpdatedAt).toBe(told.state === null ? null : told.at)
      if (told.state !== null) expect(event.draft).toMatchObject(told.state)
    }
  })

  test('comes late, twice and under other ids, and then to an end', () => {
    const bodies = new Set(all.map(({ body }) => body))
    expect(work.counts.reordered).toBeGreaterThan(50)
    expect(work.counts.duplicates).toBeGreaterThan(50)
    expect(bodies.size).toBeLessThan(all.length)
    const delivery = all.find(({ told }) => told.platform === 'jira')
    const again = delivery?.renewed()
    expect(again?.body).toBe(delivery?.body)
    expect(again?.headers()['x-atlassian-webhook-identifier']).not.toBe(
      delivery?.headers()['x-atlassian-webhook-identifier'],
    )
    expect(delivery?.headers()).toEqual(delivery?.headers())
  })
})

describe('the judge', () => {
  const state = { priority: 'high', status: 'open' } as const
  const told: Told = { platform: 'jira', externalId: 'A-1', at: 2, state, comment: null }
  const ticket: StoredTicket = { id: 7, platform: 'jira', externalId: 'A-1', ...state }
  const other: StoredTicket = { id: 8, platform: 'zendesk', externalId: 'A-1', ...state }

  function verdict(
    tickets: StoredTicket[],
    { said = ['hello'], more = [] }: { said?: string[]; more?: [Told, number][] } = {},
  ) {
    const ledger: Ledger = new Map()
    acknowledge(ledger, told, 7)
    acknowledge(ledger, { ...told, at: 1, state: { priority: 'low', status: 'new' } }, 7)
    acknowledge(ledger, { ...told, at: 3, state: null, comment: 'hello' }, 7)
    acknowledge(ledger, { ...told, platform: 'zendesk' }, 8)
    for (const [one, number] of more) acknowledge(ledger, one, number)
    return judge(ledger, tickets, new Map([[7, said]]))
  }

  test('finds nothing where all is there once, in its newest state', () => {
    const clean = { acknowledged: 2, stored: 2, lost: 0, doubled: 0, stale: 0, faults: [] }
    expect(verdict([ticket, other])).toEqual(clean)
    expect(verdict([other, ticket], { said: ['another', 'hello'] })).toEqual(clean)
  })

  test.each([
    ['a ticket that is gone', [other], {}, { lost: 1 }, /^jira A-1 was acknowledged as ticket 7 and is not there$/],
    ['another number', [{ ...ticket, id: 9 }, other], { said: ['hello'] }, { lost: 2 }, /as ticket 7 and is 9$/],
    ['another identity', [{ ...ticket, externalId: 'A-2' }, other], {}, { lost: 1, doubled: 1 }, /is not there$/],
    ['another platform', [{ ...ticket, platform: null }, other], {}, { lost: 1, doubled: 1 }, /is not there$/],
    ['a comment that is gone', [ticket, other], { said: [] }, { lost: 1 }, /“hello” was acknowledged and is not/],
    ['a comment cut short', [ticket, other], { said: ['hell'] }, { lost: 1 }, /“hello” was acknowledged and is not/],
    ['a comment twice', [ticket, other], { said: ['hello', 'hello'] }, { doubled: 1 }, /on the timeline 2 times/],
    ['two tickets of one', [ticket, other, { ...ticket, id: 9 }], {}, { doubled: 1 }, /is ticket 7 and ticket 9$/],
    ['three of one', [ticket, { ...ticket, id: 9 }, { ...ticket, id: 10 }, other], {}, { doubled: 2 }, /ticket 9$/],
    ['a ticket of nobody', [ticket, other, { ...other, id: 9, externalId: null }], {}, { doubled: 1 }, /^Ticket 9 /],
    ['an older priority', [{ ...ticket, priority: 'low' }, other], {}, { stale: 1 }, /is low and open; .* high and/],
    ['an older status', [{ ...ticket, status: 'new' }, other], {}, { stale: 1 }, /is high and new; its newest/],
    [
      'two numbers of which one is gone',
      [ticket, other],
      { more: [[told, 9]] },
      { lost: 1 },
      /was acknowledged as ticket 9 and is 7$/,
    ],
  ] as [string, StoredTicket[], Parameters<typeof verdict>[1], object, RegExp][])(
    'finds %s',
    (_, tickets, options, counts, words) => {
      const found = verdict(tickets, options)
      const { lost, doubled, stale, faults } = found
      expect({ lost, doubled, stale }).toEqual({ lost: 0, doubled: 0, stale: 0, ...counts })
      expect(faults[0]?.what).toMatch(words)
    },
  )
})
