import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { ConfigError, readConfig } from '../config.ts'
import { nearestFolder } from './doctor-machine.ts'
import { acknowledge, judge, type Judgement, type Ledger, owedFor } from './drill-judge.ts'
import { createLoad, type Load } from './drill-load.ts'
import { createSenders, PLATFORMS } from './drill-senders.ts'
import { createScratchServer, readComments, type Reading, readTickets, registerSources } from './drill-server.ts'
import { createWork } from './drill-work.ts'
import { exitWith } from './fault.ts'
import { count, paint, print, printTable, type Row } from './table.ts'

type Options = { kills: number; secondsBetween: number; connections: number; dir?: string; json?: boolean }

/** How long the senders may take, after the last kill, to be answered on all that they have begun. */
const DRAIN_MS = 60_000
/** Of the faults, how many are shown in words; --json has all. */
const SHOWN = 10

type Report = Omit<Judgement, 'faults'> & {
  ok: boolean
  /** How often the server was killed. */
  kills: number
  requests: number
  answers: number
  retries: number
  duplicates: number
  reordered: number
  refused: number
  unanswered: number
  /** ms, of the requests that were answered */
  latency: { p50: number; p99: number }
  /** ms from the start of the process to its first connection: the first time, and after each kill */
  ready: { first: number; again: number[] }
  seconds: number
  faults: string[]
}

/** Kills a server of its own under load and judges what it then holds. Exit code 0 when nothing is lost or doubled. */
export async function drill(options: Options): Promise<void> {
  const folder = makeFolder(options.dir)
  const ending = new AbortController()
  const key = randomBytes(24).toString('base64url')
  const server = createScratchServer(folder, key, (reason) => ending.abort(new Error(reason)))
  const forget = onSignals((signal) => ending.abort(signal))
  // Whatever waits for the server's start or answers then fails at once.
  ending.signal.addEventListener('abort', () => void server.end('SIGKILL'))
  try {
    const report = await run(options, { server, key, signal: ending.signal })
    clearLine()
    if (report.ok) rmSync(folder, { recursive: true, force: true })
    const kept = report.ok ? null : folder
    if (options.json) print(JSON.stringify({ ...report, folder: kept }, null, 2))
    else show(report, kept)
    process.exitCode = report.ok ? 0 : 1
  } catch (error) {
    clearLine()
    const reason: unknown = ending.signal.aborted ? ending.signal.reason : error
    await server.end('SIGKILL')
    if (isSignal(reason)) return dieOf(reason, folder, forget)
    const message = reason instanceof Error ? reason.message : String(reason)
    if (options.json) print(JSON.stringify({ ok: false, error: message, folder }, null, 2))
    process.stderr.write(`ticketflow: The drill failed: ${message}\nticketflow: Its data is kept in ${folder}\n`)
    process.exitCode = 1
  } finally {
    forget()
  }
}

async function run(
  { kills, secondsBetween, connections }: Options,
  { server, key, signal }: { server: ReturnType<typeof createScratchServer>; key: string; signal: AbortSignal },
): Promise<Report> {
  const began = performance.now()
  const ledger: Ledger = new Map()
  const secret = randomBytes(24).toString('base64url')
  const work = createWork(createSenders(secret))
  const load = createLoad({
    work,
    connections,
    port: server.port,
    onAcknowledged: ({ told }, ticket) => acknowledge(ledger, told, ticket),
  })
  signal.addEventListener('abort', load.halt)

  const ready = { first: await server.start(), again: [] as number[] }
  const reading = () => ({ port: server.port() ?? 0, key, signal })
  await registerSources(PLATFORMS, secret, reading())
  const progress = createProgress(
    kills,
    () => `${count(load.counts.answers, 'answer')} for ${count(ledger.size, 'ticket')}`,
  )
  const sent = load.run()
  sent.catch(() => {}) // awaited at the end; until then nobody listens
  try {
    for (let kill = 1; kill <= kills; kill += 1) {
      await sleep(secondsBetween * 2000 * Math.random(), undefined, { signal })
      await server.end('SIGKILL')
      signal.throwIfAborted()
      const ms = await server.start()
      ready.again.push(ms)
      progress.killed(kill, ms)
    }
    await sleep(secondsBetween * 1000, undefined, { signal })
    work.finish()
    await drained(sent, load)
    signal.throwIfAborted()

    progress.reading()
    const judgement = await readAndJudge(ledger, reading(), connections)
    const code = await server.end('SIGTERM')
    return reportOf({ judgement, load, work, ready, seconds: (performance.now() - began) / 1000, code })
  } finally {
    load.halt()
    progress.end()
  }
}

async function drained(sent: Promise<void>, load: Load): Promise<void> {
  const patience = setTimeout(load.halt, DRAIN_MS)
  await sent
  clearTimeout(patience)
}

async function readAndJudge(ledger: Ledger, reading: Reading, connections: number): Promise<Judgement> {
  const tickets = await readTickets(reading)
  const ids = tickets.filter((ticket) => (owedFor(ledger, ticket)?.comments.size ?? 0) > 0).map(({ id }) => id)
  return judge(ledger, tickets, await readComments(ids, reading, connections))
}

function reportOf(found: {
  judgement: Judgement
  load: Load
  work: ReturnType<typeof createWork>
  ready: Report['ready']
  seconds: number
  code: number | null
}): Report {
  const { judgement, load, work, ready, seconds, code } = found
  const sorted = load.latencies.toSorted((a, b) => a - b)
  const faults = [
    ...judgement.faults.map(({ kind, what }) => `${kind}: ${what}`),
    ...load.refusals.map((what) => `refused: ${what}`),
    ...(load.counts.unanswered > 0 ? [`unanswered: ${count(load.counts.unanswered, 'delivery', 'deliveries')}`] : []),
    ...(code === 0 ? [] : [`The server did not stop cleanly at the end: exit code ${code}`]),
    ...(judgement.acknowledged > 0 ? [] : ['Nothing was acknowledged, so nothing was tried']),
  ]
  return {
    ok: faults.length === 0,
    kills: ready.again.length,
    acknowledged: judgement.acknowledged,
    stored: judgement.stored,
    lost: judgement.lost,
    doubled: judgement.doubled,
    stale: judgement.stale,
    ...load.counts,
    ...work.counts,
    refused: load.refusals.length,
    latency: { p50: rounded(quantile(sorted, 0.5)), p99: rounded(quantile(sorted, 0.99)) },
    ready: { first: Math.round(ready.first), again: ready.again.map(Math.round) },
    seconds: rounded(seconds),
    faults,
  }
}

const rounded = (value: number) => Math.round(value * 100) / 100

/** The value below which this part of the sorted values lies; 0 of none. */
const quantile = (sorted: readonly number[], part: number) => sorted[Math.floor(sorted.length * part)] ?? 0

/** On the disk that the real data is on, so that its figures are that disk's. */
function makeFolder(dir: string | undefined): string {
  try {
    if (dir !== undefined && !existsSync(dir)) throw new ConfigError([`--dir ${dir} is not there; make it first`])
    const parent = dir === undefined ? nearestFolder(dirname(readConfig().dataDir)) : resolve(dir)
    return mkdtempSync(join(parent, 'ticketflow-drill-'))
  } catch (error) {
    if (error instanceof ConfigError || !(error instanceof Error)) return exitWith(error)
    return exitWith(new ConfigError([`${error.message}; --dir names a folder for the drill's data`]))
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
type Signal = (typeof SIGNALS)[number]
const isSignal = (reason: unknown): reason is Signal => SIGNALS.some((signal) => signal === reason)

/** Returns a function that ends the watch. */
function onSignals(heed: (signal: Signal) => void): () => void {
  const listeners = SIGNALS.map((signal) => [signal, () => heed(signal)] as const)
  for (const [signal, listener] of listeners) process.on(signal, listener)
  return () => {
    for (const [signal, listener] of listeners) process.removeListener(signal, listener)
  }
}

/** Leaves nothing behind, and ends as the signal would have ended it. */
function dieOf(signal: Signal, folder: string, forget: () => void): void {
  rmSync(folder, { recursive: true, force: true })
  forget()
  process.kill(process.pid, signal)
}

/** On standard error: one line that changes where a terminal shows it, else a line for each kill. */
function createProgress(kills: number, sofar: () => string) {
  const isWatched = process.stderr.isTTY
  let now = `before the first of ${count(kills, 'kill')}`
  const draw = () => process.stderr.write(`\r\u001B[K  ${now}: ${sofar()}`)
  const timer = isWatched ? setInterval(draw, 200) : undefined
  const say = (what: string) => {
    now = what
    if (!isWatched) process.stderr.write(`${now}: ${sofar()}\n`)
  }
  return {
    killed: (kill: number, ms: number) => say(`kill ${kill} of ${kills}, ready again after ${Math.round(ms)} ms`),
    reading: () => say('reading back'),
    end: () => clearInterval(timer),
  }
}

function clearLine(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001B[K')
}

const number = (value: number) => value.toLocaleString('en-US')

const row = (name: string, figure: string, isGood = true): Row => ({
  state: isGood ? 'ok' : 'fail',
  cells: [name, figure],
})

function show(report: Report, kept: string | null): void {
  const { acknowledged, stored, lost, doubled, stale, kills, ready, latency } = report
  const again = ready.again.toSorted((a, b) => a - b)
  printTable(
    ['what', 'figure'],
    [
      row('acknowledged', `${count(acknowledged, 'ticket')} in ${count(report.answers, 'answer')}`, acknowledged > 0),
      row('stored', count(stored, 'ticket'), stored === acknowledged),
      row('lost', number(lost), lost === 0),
      row('doubled', number(doubled), doubled === 0),
      row('not in their newest state', number(stale), stale === 0),
      row('refused, unanswered', `${report.refused}, ${report.unanswered}`, report.refused + report.unanswered === 0),
      row('requests', `${number(report.requests)}, ${number(report.retries)} of them retries`),
      row('sent twice, out of order', `${number(report.duplicates)}, ${number(report.reordered)}`),
      row('answered within', `${latency.p50} ms (p50), ${latency.p99} ms (p99)`),
      row('ready again', `${quantile(again, 0.5)} ms (median), ${again.at(-1) ?? 0} ms (longest)`),
    ],
  )
  print('')
  if (kept === null) {
    const what = `${count(kills, 'kill')} in ${Math.round(report.seconds)} s`
    return print(paint('green', `Nothing that was acknowledged was lost or doubled: ${what}, by SIGKILL under load`))
  }
  for (const fault of report.faults.slice(0, SHOWN)) print(`${paint('red', '→')} ${fault}`)
  if (report.faults.length > SHOWN) print(`  and ${number(report.faults.length - SHOWN)} more; --json has them all`)
  print(paint('red', `This should not be: ${count(report.faults.length, 'fault')}. The data is kept in ${kept}`))
}
