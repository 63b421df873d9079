import { randomBytes } from 'node:crypto'
import { text } from 'node:stream/consumers'

import { isObject } from '../core/json.ts'
import { type Call, baseOf, createCall, Unreachable } from './check-call.ts'
import { brief, type Case, CASES, Mismatch, WEBHOOK } from './check-cases.ts'
import { paint, print, printTable } from './table.ts'

type Result = { name: string; expected: string; got: string; ms: number; ok: boolean }
type Report = { ok: boolean; url: string; error?: string; checks: Result[] }

type Options = { timeout: number; key?: string; json?: boolean }

/** Checks a running server from the outside and prints what it found. Exit code 0 when all is well, else 1. */
export async function check(url: string, { timeout, key, json }: Options): Promise<void> {
  // Writes over the arguments, which anybody on this machine can list.
  process.title = 'ticketflow check'
  const report = await examine(url, timeout, key === '-' ? (await text(process.stdin)).trim() : key)
  if (json) print(JSON.stringify(report, null, 2))
  else show(report)
  process.exitCode = report.ok ? 0 : 1
}

async function examine(url: string, timeout: number, key: string | undefined): Promise<Report> {
  const base = baseOf(url)
  if (base === null)
    return { ok: false, url, error: `${url} is no address; give one like http://127.0.0.1:8000`, checks: [] }
  const call = createCall(base, timeout, key)
  try {
    const stranger = await recognise(call, base)
    if (stranger !== null) return { ok: false, url: base, error: stranger, checks: [] }
  } catch (error) {
    if (error instanceof Unreachable) return { ok: false, url: base, error: error.message, checks: [] }
    throw error
  }

  const checks: Result[] = []
  const run = randomBytes(4).toString('hex')
  for (const item of CASES) {
    const { lost, ...result } = await runCase(item, call, run)
    checks.push(result)
    // Without a server there is nothing left to learn, and each case would wait for its time-out again.
    if (lost) return { ok: false, url: base, error: result.got, checks }
  }
  return { ok: checks.every(({ ok }) => ok), url: base, checks }
}

/** Null when a TicketFlow server answers there, healthy or not, else what was found instead. */
async function recognise(call: Call, base: string): Promise<string | null> {
  const answer = await call('GET', `${WEBHOOK}/health`)
  if (isObject(answer.json) && answer.json['endpoint'] === 'webhook') return null
  return [
    `What answers at ${base} is not TicketFlow; is it the right address and port?`,
    `  sent      GET ${WEBHOOK}/health`,
    '  expected  200 (application/json): {"status":"healthy","endpoint":"webhook",…}',
    `  came      ${brief(answer)}`,
  ].join('\n')
}

async function runCase({ name, expected, run }: Case, call: Call, id: string): Promise<Result & { lost: boolean }> {
  const started = performance.now()
  const result = (got: string, ok: boolean, lost = false) => {
    const ms = Math.round((performance.now() - started) * 10) / 10
    return { name, expected, got, ms, ok, lost }
  }
  try {
    return result(await run(call, id), true)
  } catch (error) {
    if (error instanceof Mismatch) return result(error.message, false)
    if (error instanceof Unreachable) return result(error.message, false, true)
    throw error
  }
}

function show({ ok, url, error, checks }: Report): void {
  if (checks.length > 0) {
    print(`Checking ${url}\n`)
    printTable(
      ['check', 'expected', 'got', 'ms'],
      checks.map(({ name, expected, got, ms, ok: passed }) => ({
        state: passed ? 'pass' : 'fail',
        cells: [name, expected, passed ? got : 'something else:', ms.toFixed(1)],
        ...(!passed && { notes: [got] }),
      })),
    )
    print('')
  }
  if (error !== undefined) process.stderr.write(`ticketflow: ${error}\n`)
  if (checks.length === 0) return
  const passed = checks.filter((item) => item.ok).length
  const rest = CASES.length - checks.length
  const summary = `${passed} of ${checks.length} checks passed${rest > 0 ? `, ${rest} were not run` : ''}`
  print(ok ? paint('green', summary) : paint('red', `${summary}; the server's log says more about each request`))
}
