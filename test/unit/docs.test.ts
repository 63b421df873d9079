import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT } from '../server.ts'

const read = (path: string) => readFile(join(ROOT, path), 'utf8')

const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'bench/README.md',
  'examples/README.md',
  ...(await readdir(join(ROOT, 'docs'))).map((name) => `docs/${name}`),
]

test('every link between the pages leads somewhere', async () => {
  const dead: string[] = []
  for (const page of PAGES) {
    for (const [, target = ''] of (await read(page)).matchAll(/\]\((?!https?:)([^)#]+)/g)) {
      if (!existsSync(join(ROOT, dirname(page), target))) dead.push(`${page} → ${target}`)
    }
  }
  expect(dead).toEqual([])
})

test('the settings of the documentation are those of the program, with their presets', async () => {
  const rows = [...(await read('docs/operations.md')).matchAll(/^\| `([A-Z_]+)` \| `([^`]*)`/gm)]
  const source = await read('src/config.ts')
  const inProgram = [...source.matchAll(/^ {4}([A-Z_]+):/gm)].map(([, name]) => name)
  expect(rows.map(([, name]) => name).toSorted()).toEqual(inProgram.toSorted())
  for (const [, name, preset] of rows) {
    const setting = new RegExp(`${name}:[^;]*?(?:preset: |default\\(')([^' },]+)`).exec(source)?.[1]
    expect([name, setting?.replaceAll('_', '')]).toEqual([name, preset])
  }
})

test('every npm command of the documentation exists', async () => {
  const { scripts } = JSON.parse(await read('package.json'))
  for (const page of PAGES) {
    for (const [, name = ''] of (await read(page)).matchAll(/npm run ([\w:-]+)/g))
      expect(scripts).toHaveProperty([name])
  }
})

test('the readme has exactly two commands to set something up', async () => {
  expect((await read('README.md')).match(/npm ci && npm \w+/g)).toEqual(['npm ci && npm start', 'npm ci && npm test'])
})
