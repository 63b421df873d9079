import { existsSync, readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { expect, test } from 'vitest'

import { readConfig } from '../../src/config.ts'
import { freePort, run } from '../cli.ts'
import { discard, ROOT, startTestServer, temporaryDirectory } from '../server.ts'

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const dockerfile = read('Dockerfile').replaceAll('\\\n', ' ')
const unit = read('examples/ticketflow.service')
/** What `npm start` runs. */
const [, ...start] = (JSON.parse(read('package.json')).scripts.start as string).split(' ')

const instructions = (name: string): string[] =>
  [...dockerfile.matchAll(new RegExp(`^\\s*${name}\\s+(.*)$`, 'gm'))].map(([, text = '']) => text)
const settings = (pairs: string) => parseEnv(pairs.trim().replaceAll(' ', '\n')) as Record<string, string>

test('the container runs what npm start runs, with settings that the program knows', () => {
  const [command = ''] = instructions('CMD').slice(-1)
  expect(JSON.parse(command)).toEqual(['node', ...start])
  const [env = ''] = instructions('ENV')
  expect(readConfig(settings(env))).toMatchObject({ host: '0.0.0.0', port: 8000, dataDir: '/data' })
  expect(instructions('USER')).toEqual(['node'])
})

test('what is copied into the image is there, and what the server reads is copied', () => {
  const copied = instructions('COPY').filter((text) => !text.startsWith('--from'))
  const sources = copied.flatMap((text) => text.split(' ').slice(0, -1))
  expect(sources.filter((source) => !existsSync(join(ROOT, source)))).toEqual([])
  expect(sources).toEqual(expect.arrayContaining(['package.json', 'package-lock.json', 'bin', 'src']))
  const ignored = read('.dockerignore').split('\n')
  expect(sources.filter((source) => ignored.includes(source))).toEqual([])
})

test('the health check of the container tells a server from none', async () => {
  const [, check = ''] = /CMD (\[.*\])$/.exec(instructions('HEALTHCHECK')[0] ?? '') ?? []
  const [, ...args] = JSON.parse(check) as string[]
  const server = await startTestServer()
  const askAt = (port: string) => run(process.execPath, args, { PORT: port })
  expect(await askAt(new URL(server.url).port)).toMatchObject({ code: 0 })
  await discard(server)
  expect(await askAt(String(await freePort()))).toMatchObject({ code: 1 })
})

test('the service runs what npm start runs, with settings that the program knows', () => {
  const [, command = ''] = /^ExecStart=(.*)$/m.exec(unit) ?? []
  expect(command.split(' ')).toEqual(['/opt/ticketflow/node_modules/.bin/node', ...start])
  const [, env = ''] = /^Environment=(.*)$/m.exec(unit) ?? []
  expect(readConfig(settings(env))).toMatchObject({ host: '127.0.0.1', dataDir: '/var/lib/ticketflow' })
  expect(unit).toContain('StateDirectory=ticketflow\n')
})

test('the nodes of the compose file have settings that the program knows, and the balancer sends a ticket once', () => {
  const compose = read('examples/compose.yaml')
  const pairs = [...compose.matchAll(/\b(DATABASE_URL|TICKETFLOW_\w+): ((?:\$\{[^}]*\}|[^\n}])*)/g)]
  const filled = pairs.map(([, name = '', value = '']) => [
    name,
    value.replaceAll(/\$\{[^}]*\}/g, 'x'.repeat(32)).trim(),
  ])
  expect(filled.map(([name]) => name)).toEqual(expect.arrayContaining(['DATABASE_URL', 'TICKETFLOW_ROLE']))
  expect(readConfig(Object.fromEntries(filled))).toMatchObject({ role: 'worker', trustedProxies: ['172.30.0.0/24'] })
  expect(compose).toContain('retry-on conn-failure\n')
})

const hasSystemd = existsSync('/usr/bin/systemd-analyze')

test.skipIf(!hasSystemd)(
  `systemd takes the service, and finds it well shut off${hasSystemd ? '' : ' [skipped: no systemd-analyze]'}`,
  async () => {
    const directory = await temporaryDirectory()
    const path = join(directory, 'ticketflow.service')
    await writeFile(path, unit.replaceAll('/opt/ticketflow', ROOT))
    expect(await run('systemd-analyze', ['verify', path])).toMatchObject({ code: 0, stderr: '' })
    // Of a hundred; what listens to a network comes to 10 at the least.
    expect(await run('systemd-analyze', ['security', '--offline=yes', '--threshold=20', path])).toMatchObject({
      code: 0,
    })
    await rm(directory, { recursive: true })
  },
)
