import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, test } from 'vitest'
import { z } from 'zod'

import { ROOT } from '../server.ts'

/** Those that ask for nothing but to be named. */
const PERMISSIVE = new Set([
  'MIT',
  'MIT-0',
  'ISC',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'Apache-2.0',
  '0BSD',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'Unlicense',
  'Python-2.0',
])

/** Of several that are offered, we choose. */
const isPermissive = (licence: string) =>
  licence
    .replaceAll(/[()]/g, '')
    .split(' OR ')
    .some((one) => PERMISSIVE.has(one))

const Lock = z.object({
  packages: z.record(
    z.string(),
    z.object({
      dev: z.boolean().optional(),
      /** Of the program only where it is asked for, which it is not. */
      devOptional: z.boolean().optional(),
      optional: z.boolean().optional(),
      /** In the package that brings it, and pinned with that. */
      inBundle: z.boolean().optional(),
      version: z.string().optional(),
      integrity: z.string().optional(),
      hasInstallScript: z.boolean().optional(),
    }),
  ),
})

const json = async (path: string) => JSON.parse(await readFile(join(ROOT, path), 'utf8'))
const { packages } = Lock.parse(await json('package-lock.json'))
const installed = Object.entries(packages).filter(([path]) => path.startsWith('node_modules/'))
const inProduction = installed.filter(
  ([path, { dev, devOptional, optional }]) =>
    dev !== true && devOptional !== true && (optional !== true || existsSync(join(ROOT, path))),
)

test('what is installed with the program has a permissive licence, and is what the lockfile says', async () => {
  expect(inProduction.length).toBeGreaterThan(30)
  for (const [path, { version }] of inProduction) {
    const manifest = await json(`${path}/package.json`)
    expect({ path, version: manifest.version }).toEqual({ path, version })
    expect({ path, licence: manifest.license }).toEqual({
      path,
      licence: expect.toSatisfy(isPermissive),
    })
  }
})

test('none of it runs anything when it is installed', async () => {
  for (const [path, { hasInstallScript = false }] of inProduction) {
    const { scripts = {} } = await json(`${path}/package.json`)
    const hooks = ['preinstall', 'install', 'postinstall'].filter((name) => name in scripts)
    expect({ path, hasInstallScript, hooks }).toEqual({ path, hasInstallScript: false, hooks: [] })
  }
})

test('the lockfile pins each package by its content', () => {
  for (const [path, { integrity, inBundle }] of installed) {
    if (inBundle === true) continue
    expect({ path, integrity }).toEqual({ path, integrity: expect.stringMatching(/^sha512-/) })
  }
})
