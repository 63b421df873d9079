import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Platform } from '../../src/core/platform.ts'
import { lowerCased, NOW } from '../fixtures.ts'
import { ROOT } from '../server.ts'

const read = (path: string) => readFile(join(ROOT, path), 'utf8')

const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'bench/README.md',
  'examples/README.md',
  ...(await readdir(join(ROOT, 'docs'), { recursive: true }))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
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
  const rows = [...(await read('docs/operations.md')).matchAll(/^\| `([A-Z_]+)` \| (?:`([^`]*)`|none)/gm)]
  const source = await read('src/config.ts')
  const inProgram = [...source.matchAll(/^ {4}([A-Z_]+):/gm)].map(([, name]) => name)
  expect(rows.map(([, name]) => name).toSorted()).toEqual(inProgram.toSorted())
  for (const [, name, preset] of rows) {
    const [, number, word] = new RegExp(`${name}:[^;]*?(?:preset: ([^' },]+)|default\\('([^']*)')`).exec(source) ?? []
    expect([name, number?.replaceAll('_', '') ?? word]).toEqual([name, preset ?? ''])
  }
})

test('every test that docs/security.md names exists, and each row names one', async () => {
  const page = await read('docs/security.md')
  const named: [file: string, title: string][] = []
  for (const [, file = '', titles = ''] of page.matchAll(/`((?:unit|e2e|contract)\/[\w-]+)` (“[^”]+”(?:, “[^”]+”)*)/g))
    for (const [, title = ''] of titles.matchAll(/“([^”]+)”/g)) named.push([file, title])
  expect(named.length).toBeGreaterThan(30)
  // The one that is not counted says how they are written.
  expect(page.match(/“/g)).toHaveLength(named.length + 1)
  for (const [file, title] of named) {
    const source = await read(`test/${file}.test.ts`)
    expect({ file, title, isThere: source.includes(`'${title}'`) }).toEqual({ file, title, isThere: true })
  }
  const [threats = ''] = page.split('## OWASP')
  const rows = threats.split('\n').filter((line) => /^\| .*\|$/.test(line) && !line.startsWith('| Who | wants'))
  expect(rows.length).toBeGreaterThan(20)
  for (const row of rows) expect(row).toMatch(/“.+”/)
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

describe('the platform of docs/add-a-platform.md', async () => {
  const page = await read('docs/add-a-platform.md')
  const blocks = (language: string) =>
    [...page.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map(([, code = '']) => code)
  const [code = ''] = blocks('ts')
  const [body = '', fixture = ''] = blocks('json')

  let folder: string
  let platform: Platform
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ticketflow-docs-'))
    const file = join(folder, 'desk-one.ts')
    await writeFile(file, code.replaceAll("'../core/", `'${join(ROOT, 'src/core')}/`))
    platform = ((await import(/* @vite-ignore */ file)) as { default: Platform }).default
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  test('recognises, verifies and reads its fixture as the page says', () => {
    const { headers, raw_body: raw, verify, expect: expected } = JSON.parse(fixture)
    const payload = JSON.parse(raw)
    expect(payload).toEqual(JSON.parse(body))
    const lower = lowerCased(headers)
    expect(platform.recognises(payload, lower)).toBe(true)
    const request = { method: 'POST', url: 'https://a.example/', headers: lower, body: Buffer.from(raw) }
    expect(platform.schemes[verify.scheme]?.(request, [verify.secret], NOW)).toBeNull()
    const event = platform.read({ headers: lower, payload })
    expect(event).toMatchObject({
      kind: 'created',
      draft: {
        title: expected.title,
        description: expected.description,
        priority: expected.priority,
        userEmail: expected.user_email,
        userId: expected.user_id,
        metadata: { external_id: expected.external_id, unmapped: { case: { room: '4.12' } } },
      },
    })
    expect(platform.deliveryId?.({ headers: lower, payload })).toBe(expected.delivery_id)
  })
})
