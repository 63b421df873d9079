import { spawn } from 'node:child_process'
import { statSync } from 'node:fs'
import { chown, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

import { expect, test } from 'vitest'

import { ticketflow } from '../cli.ts'
import { discard, ROOT, startTestServer, temporaryDirectory } from '../server.ts'

const NOBODY = 65_534
const isRoot = process.getuid?.() === 0

test.runIf(isRoot)('as root it warns, at the start and in doctor', async () => {
  const server = await startTestServer()
  const { stdout } = await ticketflow(['doctor', '--json'], { PORT: '0', TICKETFLOW_DATA_DIR: server.dataDir })
  expect(JSON.parse(stdout).findings).toContainEqual(
    expect.objectContaining({ name: 'user', state: 'warn', found: 'root' }),
  )
  await server.stop()
  expect(server.output()).toMatch(/"level":40.*runs as root/)
  await discard(server)
})

/** Whether somebody else can get there: a clone in a closed home directory serves its owner alone. */
const isOpen = (path: string): boolean =>
  (statSync(path).mode & 0o001) !== 0 && (dirname(path) === path || isOpen(dirname(path)))

test.runIf(!isRoot || (isOpen(ROOT) && isOpen(process.execPath)))(
  'as a user who has nothing but its data directory it serves, and warns of nothing',
  async () => {
    const dataDir = await temporaryDirectory()
    if (isRoot) await chown(dataDir, NOBODY, NOBODY)
    const child = spawn(process.execPath, ['bin/ticketflow.js', 'serve'], {
      cwd: ROOT,
      env: { PORT: '0', TICKETFLOW_DATA_DIR: dataDir },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(isRoot && { uid: NOBODY, gid: NOBODY }),
    })
    let output = ''
    const url = await new Promise<string>((resolve, reject) => {
      const read = (chunk: Buffer) => {
        output += chunk.toString()
        const [, found] = /"url":"([^"]+)".*"msg":"ready"/.exec(output) ?? []
        if (found !== undefined) resolve(found)
      }
      child.stdout.on('data', read)
      child.stderr.on('data', read)
      child.once('exit', (code) => reject(new Error(`ended with ${code}: ${output}`)))
    })
    const body = JSON.stringify({ title: 'a', description: 'b' })
    const sent = await fetch(`${url}/api/integrations/webhook`, { method: 'POST', body })
    expect(sent.status).toBe(200)
    const exited = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    expect(await exited).toBe(0)
    expect(output).not.toMatch(/"level":[456]0/)
    await rm(dataDir, { recursive: true })
  },
)
