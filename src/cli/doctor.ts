import { existsSync } from 'node:fs'

import { type Config, ConfigError, readConfig } from '../config.ts'
import { assertNotLost, isLocked, StoreError, storePath } from '../store/sqlite-files.ts'
import { inspectDatabase } from '../store/postgres-inspect.ts'
import { indexBehind, inspectStore } from '../store/sqlite-inspect.ts'
import { assertWholeLog } from '../store/sqlite-wal.ts'
import { examineDirectory, freeSpace, nearestFolder, portState, syncTime } from './doctor-machine.ts'
import { certificateWarning, readTls, type TlsFiles } from '../tls.ts'
import { count, paint, print, printTable, size, type State } from './table.ts'

/** What was looked at, how it is, and, unless it is well, what to do. */
type Finding = { name: string; state: Exclude<State, 'pass'>; found: string; advice?: string }

const GIB = 1024 ** 3
const LOW_SPACE = GIB
const NO_SPACE = 100 * 1024 ** 2
/** Every answer waits for one sync, so this is what senders feel. */
const SLOW_SYNC_MS = 25

/** Examines what the server needs, changes nothing, and prints it. Exit code 1 when the server could not work. */
export async function doctor({ json = false }: { json?: boolean }): Promise<void> {
  const findings = await examine()
  const ok = findings.every(({ state }) => state !== 'fail')
  if (json) print(JSON.stringify({ ok, findings }, null, 2))
  else show(findings)
  process.exitCode = ok ? 0 : 1
}

async function examine(): Promise<Finding[]> {
  const runtime = finding('runtime', 'ok', `Node.js ${process.versions.node}, SQLite ${process.versions['sqlite']}`)
  const config = configOrFaults()
  if (Array.isArray(config)) return [runtime, ...config]

  const directory = dataDirectory(config.dataDir)
  const isFit = directory.state !== 'fail'
  if (config.databaseUrl !== null) {
    // Whose TicketFlow has the port cannot be told from here: nodes lock no directory.
    return [
      ...beforeStore(config, runtime),
      directory,
      ...(await database(config.databaseUrl)),
      await port(config, true),
    ]
  }
  const isRunning = isFit && isLocked(config.dataDir)
  return [
    ...beforeStore(config, runtime),
    directory,
    ...(isFit ? disk(config.dataDir) : []),
    ...(isFit ? [server(isRunning), ...store(config.dataDir)] : []),
    await port(config, isRunning),
  ]
}

function beforeStore(config: Config, runtime: Finding): Finding[] {
  return [
    runtime,
    finding('configuration', 'ok', `${protocolOf(config)}://${config.host}:${config.port}, data in ${config.dataDir}`),
    ...user(),
    ...(config.tls === null ? [] : [certificate(config.tls)]),
  ]
}

/** The store of many nodes. Which of them run, and on which ports, is not known here. */
async function database(url: string): Promise<Finding[]> {
  const name = 'database'
  try {
    const { version, schema, newestSchema, bytes, connections } = await inspectDatabase(url)
    const { used, most } = connections
    const state = schema === 0 ? 'not prepared yet; the first start does it' : `schema ${schema} of ${newestSchema}`
    const advice = 'Each node takes TICKETFLOW_DATABASE_CONNECTIONS and five more: raise max_connections, or lower it'
    return [
      finding(name, 'ok', `PostgreSQL ${version}, ${state}, ${size(bytes)}`),
      finding('connections', used > most * 0.8 ? 'warn' : 'ok', `${used} of ${most} in use`, advice),
    ]
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    return [finding(name, 'fail', error.message, 'Start it, or mend DATABASE_URL')]
  }
}

function configOrFaults(): Config | Finding[] {
  try {
    return readConfig()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const faults = error.faults.map((fault) => finding('configuration', 'fail', 'not valid', fault))
    return [...faults, finding('all the rest', 'warn', 'not examined', 'Mend the configuration first')]
  }
}

const protocolOf = ({ tls }: Config) => (tls === null ? 'http' : 'https')

function user(): Finding[] {
  const advice = 'It needs no more than its data directory and a port above 1023: run it as a user of its own'
  return process.getuid?.() === 0 ? [finding('user', 'warn', 'root', advice)] : []
}

function certificate(files: TlsFiles): Finding {
  const name = 'certificate'
  try {
    const { certificate: found } = readTls(files)
    const names = found.subjectAltName?.replaceAll(/(DNS|IP Address):/g, '') ?? found.subject
    const warning = certificateWarning(found, Date.now())
    if (warning !== null)
      return finding(name, 'warn', warning, 'Renew it; a running server takes the new files by itself')
    return finding(name, 'ok', `for ${names}, until ${found.validToDate.toISOString().slice(0, 10)}`)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return finding(name, 'fail', 'cannot be used', error.message)
  }
}

function dataDirectory(directory: string): Finding {
  const name = 'data directory'
  const state = examineDirectory(directory)
  if (state.kind === 'absent') return finding(name, 'ok', 'not there yet; the first start makes it')
  if (state.kind === 'unusable') {
    const advice = 'Give it to the user who runs the server, or set TICKETFLOW_DATA_DIR to another'
    return finding(name, 'fail', state.reason, advice)
  }
  if ((state.mode & 0o077) === 0) return finding(name, 'ok', 'writable, its owner alone looks inside')
  const advice = `Other users may look at tickets: chmod 700 ${directory}`
  return finding(name, 'warn', `writable, permissions ${state.mode.toString(8)}`, advice)
}

function disk(directory: string): Finding[] {
  const folder = nearestFolder(directory)
  const space = freeSpace(folder)
  const advice = `Without space no ticket is taken (senders get 503): make room on the disk of ${folder}`
  const state = space.free < NO_SPACE ? 'fail' : space.free < LOW_SPACE ? 'warn' : 'ok'
  const ms = syncTime(folder)
  const slow = 'No answer is faster than this; a local SSD takes about 1 ms'
  const volatile = 'This is memory, not a disk: a restart of the machine loses every ticket; set TICKETFLOW_DATA_DIR'
  return [
    finding('disk space', state, `${size(space.free)} of ${size(space.total)} free`, advice),
    space.isMemory
      ? finding('disk sync', 'warn', 'the data directory is in memory (tmpfs)', volatile)
      : finding('disk sync', ms > SLOW_SYNC_MS ? 'warn' : 'ok', `${ms.toFixed(2)} ms for 4 KiB (median)`, slow),
  ]
}

function server(isRunning: boolean): Finding {
  return finding('server', 'ok', isRunning ? 'one is running on this data directory' : 'none is running here')
}

function store(directory: string): Finding[] {
  const path = storePath(directory)
  try {
    assertNotLost(directory)
    if (!existsSync(path)) return [finding('store', 'ok', 'not there yet; the first start makes it')]
    if (!isLocked(directory)) assertWholeLog(path)
    const { schema, newestSchema, counts } = inspectStore(path)
    const rows = `${count(counts.tickets, 'ticket')}, ${count(counts.deliveries, 'delivery', 'deliveries')}`
    const found = `sound: ${rows}, ${count(counts.jobs, 'job')} waiting`
    const older = schema < newestSchema ? '; of an older version, brought up to date at the next start' : ''
    return [finding('store', 'ok', found + older), searchIndex(directory)]
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    const advice = `Keep a copy of ${directory}, then put a backup in its place: ticketflow restore FILE --force`
    return [finding('store', 'fail', error.message, advice)]
  }
}

/** Never a fault: it holds nothing that the store does not, and the server makes it anew. */
function searchIndex(directory: string): Finding {
  const behind = indexBehind(directory)
  if (behind === null) return finding('search index', 'ok', 'not there; the server makes it from the store')
  if (behind === 0) return finding('search index', 'ok', 'holds every ticket')
  return finding('search index', 'ok', `${count(behind, 'change')} behind; the server catches up`)
}

async function port(config: Config, isRunning: boolean): Promise<Finding> {
  const name = 'port'
  const { host, port: number, tls } = config
  if (number === 0) return finding(name, 'ok', 'any that is free')
  const state = await portState(host, number, protocolOf(config))
  if (state === 'free') return finding(name, 'ok', `${number} of ${host} is free`)
  if (state === 'ticketflow' && isRunning) return finding(name, 'ok', `${number} of ${host} is the running server's`)
  const advice = 'Stop what uses it (`ss -ltnp` names it), or set PORT'
  if (state === 'taken' && isRunning && tls?.clientCa)
    return finding(
      name,
      'ok',
      `${number} of ${host} is in use; who answers there cannot be asked without a certificate`,
    )
  if (state === 'ticketflow')
    return finding(name, 'fail', `${number} of ${host} is in use by a TicketFlow with other data`, advice)
  if (state === 'taken') return finding(name, 'fail', `${number} of ${host} is in use by another program`, advice)
  return finding(name, 'fail', `${number} of ${host} cannot be used: ${state.reason}`, 'Set HOST or PORT')
}

function show(findings: Finding[]): void {
  printTable(
    ['what', 'found'],
    findings.map(({ name, state, found, advice }) => ({
      state,
      cells: [name, found],
      ...(advice !== undefined && { notes: [advice] }),
    })),
  )
  const [failed, warned] = (['fail', 'warn'] as const).map((wanted) => findings.filter(({ state }) => state === wanted))
  const [faults, warnings] = [failed?.length ?? 0, warned?.length ?? 0]
  if (faults > 0) print(`\n${paint('red', `${count(faults, 'fault')}: the server cannot work like this`)}`)
  else if (warnings > 0) print(`\n${paint('yellow', `Fit to run, with ${count(warnings, 'warning')}`)}`)
  else print(`\n${paint('green', 'Fit to run')}`)
}

/** Advice is for what is not well. */
function finding(name: string, state: Finding['state'], found: string, advice?: string): Finding {
  return { name, state, found, ...(state !== 'ok' && advice !== undefined && { advice }) }
}
