import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The project's folder. */
export const ROOT = join(import.meta.dirname, '..')

export type TestServer = {
  url: string
  webhook: string
  dataDir: string
  child: ChildProcess
  /** All that it has printed so far. */
  output: () => string
  /** Ends the process with this signal and waits for it; returns its exit code (null after SIGKILL). */
  stop: (signal?: NodeJS.Signals) => Promise<number | null>
}

export const temporaryDirectory = () => mkdtemp(join(tmpdir(), 'ticketflow-'))

/**
 * Most tests are not about triage, whose thread would take half a core of each server's start, nor about overload, which
 * a loaded machine of tests looks like.
 */
const QUIET = { TICKETFLOW_TRIAGE: 'paused', TICKETFLOW_MAX_LOOP_DELAY_MS: '0' }

/**
 * Starts the real server as a process of its own on a free port, and waits until it answers. `maxFileBytes` makes the
 * kernel refuse files larger than that, as a full disk would. NODE_OPTIONS in `env` counts: test/clock.mjs shifts its clock.
 */
export async function startTestServer(
  env: Record<string, string> = {},
  { maxFileBytes, umask }: { maxFileBytes?: number; umask?: string } = {},
): Promise<TestServer> {
  const dataDir = env['TICKETFLOW_DATA_DIR'] ?? (await temporaryDirectory())
  const limit = maxFileBytes === undefined ? '' : `ulimit -f ${Math.floor(maxFileBytes / 1024)}; trap "" XFSZ; `
  const mask = umask === undefined ? '' : `umask ${umask}; `
  const child = spawn(
    'bash',
    ['-c', `${mask}${limit}exec "$0" --no-memory-protection-keys bin/ticketflow.js serve`, process.execPath],
    {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], PORT: '0', TICKETFLOW_DATA_DIR: dataDir, ...QUIET, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let output = ''
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  const url = await new Promise<string>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      output += chunk.toString()
      const ready = /"url":"(https?:[^"]+)".*"msg":"ready"/.exec(output)?.[1]
      if (ready !== undefined) resolve(ready)
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}: ${output}`)))
  })
  return {
    url,
    webhook: `${url}/api/integrations/webhook`,
    dataDir,
    child,
    output: () => output,
    stop: async (signal = 'SIGTERM') => {
      child.kill(signal)
      return exited
    },
  }
}

/** Stops the server and removes its data. */
export async function discard(server: TestServer | undefined): Promise<void> {
  if (server === undefined) return
  await server.stop('SIGKILL')
  await rm(server.dataDir, { recursive: true, force: true })
}

/** Posts JSON (or any text as it is) and reads the JSON answer. */
export async function post(url: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, json: text === '' ? null : JSON.parse(text) }
}

export async function get(url: string) {
  const response = await fetch(url)
  return { status: response.status, headers: response.headers, json: JSON.parse(await response.text()) }
}

/** The newest rows of the audit log with this request id. */
export async function deliveriesOf(server: TestServer, requestId: string): Promise<unknown[]> {
  const { json } = await get(`${server.url}/api/deliveries?limit=200`)
  return json.deliveries.filter((delivery: { request_id: string }) => delivery.request_id === requestId)
}

const WATCHER = `
  import { writeSync } from 'node:fs'
  const shared = [Object, Array, Function, String, Number, Buffer, Map].map(({ prototype }) => prototype)
  const keys = () => shared.flatMap((prototype) => Reflect.ownKeys(prototype).map(String)).join()
  const before = keys()
  process.on('exit', () => writeSync(1, JSON.stringify({ level: 30, time: '', msg: 'prototypes', clean: keys() === before }) + String.fromCharCode(10)))
`

/** Environment of a server that says at its end whether the prototypes that all objects share are as they were. */
export const WATCHING_PROTOTYPES = {
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(WATCHER)}`,
}

/** Stops such a server and waits for its last word. */
export async function endsWithCleanPrototypes(server: TestServer): Promise<boolean> {
  const closed = once(server.child, 'close')
  await server.stop()
  await closed
  const said = server.output().match(/"msg":"prototypes","clean":\w+/g) ?? []
  return said.length > 0 && said.every((line) => line.endsWith('true'))
}
