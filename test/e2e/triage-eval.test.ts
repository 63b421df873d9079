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

/** A garden's tickets, in the odd ways in which files come; what is said beside the figures, or instead of them. */
const FILES: [name: string, train: string, test: string, accuracy: number | null, said: string][] = [
  [
    'columns in another order, other columns, quotes, line ends and a mark',
    '\u{FEFF}id,Category , TEXT\r\n1,basil,"Leaves of my ""basil"" turn, slowly, yellow"\r\n2,roses,"Black spots\non roses"\r\n\r\n',
    'category,text\nroses,"Spots, black ones, on ""my"" roses"\nbasil,yellow basil leaves',
    1,
    'that takes 150 tickets that can be held out while it learns, and there were 2',
  ],
  [
    'a category that nothing is known of',
    'text,category\nyellow basil,basil\nspots on roses,roses',
    'text,category\nyellow basil,basil\nthe hedgehog sleeps,animals',
    0.5,
    '1 test cannot be right: nothing is known of their category (animals)',
  ],
  [
    'one example of each category',
    'text,category\nyellow basil,basil\nspots on roses,roses\nearly tulips,tulips',
    'text,category\nyellow basil,basil\nspots on roses,roses\nearly tulips,tulips',
    1,
    'there were 3',
  ],
  [
    'one category alone',
    'text,category\nyellow basil,basil\nbasil has aphids,basil',
    'text,category\nyellow basil,basil',
    1,
    'there is nothing to tell apart',
  ],
  ['words that are none', 'text,category\n!!!,basil\n...,roses', 'text,category\n???,basil', null, ''],
  ['no rows', 'text,category\n', 'text,category\na,b', null, 'has no row with a text and a category'],
  ['rows that are not whole', 'text,category\nyellow,\n,basil\nleaf', 'text,category\na,b', null, 'has no row with'],
  ['nothing', '', 'text,category\na,b', null, 'with commas between; it has none'],
  ['semicolons', 'text;category\nleaf;basil', 'text,category\na,b', null, 'with commas between; it has text;category'],
  ['an open quote', 'text,category\n"yellow,basil\n', 'text,category\na,b', null, 'Line 2 has a quote that is not'],
  ['no text at all', '\0\u001B[31m\u0007,\u009B2J', 'text,category\na,b', null, 'it has  [31m ,  2J'],
]

test.each(FILES)(
  'reads a file with %s, or says what is wrong',
  { timeout: TIME },
  async (_, train, tried, right, said) => {
    await writeFile(file('garden.csv'), train)
    await writeFile(file('garden-test.csv'), tried)
    const { code, stdout, stderr } = await evaluate(
      '--train',
      file('garden.csv'),
      '--test',
      file('garden-test.csv'),
      '--json',
    )
    if (right === null && said !== '') {
      expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: '', stderr: expect.stringContaining(said) })
      expect(stderr.trim().split('\n')).toHaveLength(1)
      return
    }
    expect([code, stderr]).toEqual([0, ''])
    const { accuracy, notes } = JSON.parse(stdout)
    if (right !== null) expect(accuracy).toBe(right)
    expect(notes.join('\n')).toContain(said)
  },
)
