import { spawnSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ROOT } from '../server.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ticketflow-lint-'))
  await cp(join(ROOT, '.oxlintrc.json'), join(folder, '.oxlintrc.json'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Lints a project that holds this one file, and returns what the linter says. */
async function lint(file: string, code: string): Promise<string> {
  const path = join(folder, file)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, `${code}\n`)
  const { stdout } = spawnSync(join(ROOT, 'node_modules/.bin/oxlint'), ['--deny-warnings', file], {
    cwd: folder,
    encoding: 'utf8',
  })
  await rm(path)
  return stdout
}

const uses = (path: string) => `import { thing } from '${path}'\nexport const used = thing`

const VIOLATIONS = [
  ['src/core/planted.ts', '../store/store.ts'],
  ['src/core/planted.ts', '../platforms/flat.ts'],
  ['src/core/planted.ts', '../config.ts'],
  ['src/core/planted.ts', 'node:fs'],
  ['src/core/planted.ts', 'fastify'],
  ['src/platforms/planted.ts', './flat.ts'],
  ['src/platforms/planted.ts', '../intake/ingest.ts'],
  ['src/platforms/planted.ts', 'node:net'],
  ['src/store/planted.ts', '../intake/ingest.ts'],
  ['src/store/planted.ts', '../platforms/flat.ts'],
  ['src/triage/planted.ts', '../store/store.ts'],
  ['src/triage/planted.ts', '../intake/ingest.ts'],
  ['src/triage/planted.ts', 'node:fs'],
  ['src/intake/planted.ts', '../http/app.ts'],
  ['src/intake/planted.ts', 'fastify'],
  ['src/intake/planted.ts', 'node:sqlite'],
  ['src/work/planted.ts', '../http/app.ts'],
  ['src/http/planted.ts', '../main.ts'],
  ['src/http/planted.ts', 'node:sqlite'],
  ['src/planted.ts', 'fastify'],
  ['src/cli/planted.ts', 'node:sqlite'],
] as const

test.each(VIOLATIONS)('%s may not import %s', async (file, imported) => {
  expect(await lint(file, uses(imported))).toContain('no-restricted-imports')
})

const ALLOWED = [
  ['src/core/planted.ts', './errors.ts'],
  ['src/platforms/planted.ts', '../core/platform.ts'],
  ['src/store/planted.ts', 'node:sqlite'],
  ['src/triage/planted.ts', '../core/text.ts'],
  ['src/intake/planted.ts', '../store/store.ts'],
  ['src/intake/planted.ts', '@fastify/busboy'],
  ['src/http/planted.ts', '../intake/ingest.ts'],
  ['src/http/planted.ts', 'fastify'],
  ['src/cli/planted.ts', '../main.ts'],
] as const

test.each(ALLOWED)('%s may import %s', async (file, imported) => {
  expect(await lint(file, uses(imported))).not.toContain('no-restricted-imports')
})

test('only the configuration reads the environment', async () => {
  expect(await lint('src/intake/planted.ts', 'export const home = process.env')).toContain('no-process-env')
  expect(await lint('src/config.ts', 'export const home = process.env')).not.toContain('no-process-env')
})
