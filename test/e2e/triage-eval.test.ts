import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { run } from '../cli.ts'

const TIME = 180_000
let folder: string
const file = (name: string) => join(folder, name)
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ticketflow-eval-'))
  const rows = Array.from({ length: 40 }, (_, at) => [
    `"The printer on floor ${at}, room ${at}\nis jammed",printer`,
    `Salary of month ${at} is missing,payroll`,
  ]).flat()
  await writeFile(file('train.csv'), ['text,category', ...rows].join('\n'))
  await writeFile(file('wrong.csv'), 'a,b\n1,2\n')
  await writeFile(file('test.csv'), 'text,category\nMy printer jammed,printer\n"Salary, missing",payroll\n')
  await writeFile(
    file('categories.json'),
    JSON.stringify([
      { name: 'devices', description: 'Printers and screens', keywords: ['printer', 'jammed'], labels: ['printer'] },
      { name: 'payroll', description: 'Salary and payslips' },
    ]),
  )
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const evaluate = (...args: string[]) =>
  run(process.execPath, ['bin/ticketflow.js', 'triage', 'eval', '--embedder', 'none', ...args], {}, TIME)

test('prints how well it learned, for people and for programs', { timeout: TIME }, async () => {
  const files = ['--train', file('train.csv'), '--test', file('test.csv'), '--per-class', '30']
  const { code, stdout, stderr } = await evaluate(...files, '--json')
  expect([code, stderr]).toEqual([0, ''])
  expect(JSON.parse(stdout)).toMatchObject({ examples: 60, tickets: 2, accuracy: 1, top3: 1, embedder: 'none' })
  expect((await evaluate(...files)).stdout).toMatch(/accuracy +100\.0 % +2 tickets, 2 categories/)
})

test('needs no labels where there are descriptions', { timeout: TIME }, async () => {
  const { stdout } = await evaluate('--cold-start', file('categories.json'), '--test', file('test.csv'), '--json')
  expect(JSON.parse(stdout)).toMatchObject({ examples: 0, accuracy: 1, coverage: 0, precision: null })
})

test('says in a line what is wrong', { timeout: TIME }, async () => {
  const wrong = [
    [['--test', file('test.csv')], 'Give --train FILE'],
    [['--train', file('wrong.csv'), '--test', file('test.csv')], 'needs the columns text and category'],
    [['--cold-start', file('test.csv'), '--test', file('test.csv')], 'is no list of categories'],
    [['--train', file('none.csv'), '--test', file('test.csv')], 'no such file'],
    [['--train', file('train.csv'), '--test', file('test.csv'), '--embedder', 'ftp://x'], '--embedder is'],
  ] as const
  for (const [args, text] of wrong) {
    const { code, stderr } = await evaluate(...args)
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(text) })
    expect(stderr.trim().split('\n').length).toBeLessThan(4)
  }
})
