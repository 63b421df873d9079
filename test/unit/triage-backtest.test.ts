import { expect, test } from 'vitest'

import { backtest, type History, splitFor } from '../../src/triage/backtest.ts'
import { valueRows } from '../../src/triage/evaluation.ts'

const DAY = 86_400_000
const MONDAY = Date.UTC(2026, 10, 2)

/** A ticket a day: printers and salaries in turn. */
const daily = (count: number, over: (day: number) => Partial<History> = () => ({})): History[] =>
  Array.from({ length: count }, (_, day) => ({
    text: day % 2 === 0 ? `The printer on floor ${day} is jammed` : `Salary of month ${day} is missing`,
    value: day % 2 === 0 ? 'printers' : 'payroll',
    saidAt: MONDAY + day * DAY,
    vector: null,
    ...over(day),
  }))

const options = {
  field: 'category',
  embedder: null,
  categories: [],
  precision: 0.95,
  pause: () => undefined,
  onTried: () => {},
} as const

test('learns from what was said before the split, and is tried on the rest, by week', async () => {
  const history = daily(100)
  const found = await backtest({ ...options, history, split: splitFor(history, 0.2) })
  expect(found).toMatchObject({ learned: 80, tickets: 20, accuracy: 1, problem: null })
  expect(found.values.map(({ value, tickets }) => [value, tickets])).toEqual([
    ['payroll', 10],
    ['printers', 10],
  ])
  expect(found.weeks.map(({ week, tickets }) => [week, tickets])).toEqual([
    ['2027-01-18', 4],
    ['2027-01-25', 7],
    ['2027-02-01', 7],
    ['2027-02-08', 2],
  ])
})

test('learns no label that was said after the split, however old its ticket', async () => {
  const history = daily(60)
  const split = MONDAY + 50 * DAY
  // As old as the oldest, and sorted by somebody only yesterday: in words that nothing else has.
  const late = Array.from({ length: 40 }, (_, number): History => {
    const saidAt = split + number
    return { text: `Xylophone strings ${number} are out of tune`, value: 'music', saidAt, vector: null }
  })
  const found = await backtest({ ...options, history: [...late, ...history], split })
  expect(found).toMatchObject({ learned: 50, tickets: 50 })
  expect(found.values.find(({ value }) => value === 'music')).toEqual({
    value: 'music',
    tickets: 40,
    guessed: 0,
    right: 0,
  })
})

test('what was said at the very moment of the split is tried', async () => {
  const history = daily(60, (day) => ({ saidAt: day < 40 ? MONDAY : MONDAY + DAY }))
  expect(await backtest({ ...options, history, split: splitFor(history, 0.2) })).toMatchObject({
    learned: 40,
    tickets: 20,
  })
})

test('priorities are tried as the engine decides them: by rules on few, by what was learned on more', async () => {
  const history = daily(100, (day) => ({ value: day % 2 === 0 ? 'high' : 'low' }))
  const at = (split: number) => backtest({ ...options, field: 'priority', history, split })
  expect((await at(MONDAY + 80 * DAY)).accuracy).toBe(1)
  expect((await at(MONDAY + 40 * DAY)).accuracy).toBeLessThan(1)
})

test('vectors that are at hand are not made again', async () => {
  const asked: string[] = []
  const embedder = {
    id: 'test',
    dims: 2,
    languages: null,
    embed: async (texts: readonly string[]) => texts.map((text) => (asked.push(text), Float32Array.of(1, 0))),
  }
  const history = daily(60, (day) => ({ vector: day === 3 ? null : Float32Array.of(0, 1) }))
  await backtest({ ...options, embedder, history, split: splitFor(history, 0.2) })
  expect(asked).toEqual([history[3]?.text])
})

test('says how much history is needed where there is too little', async () => {
  const few = daily(35)
  const tried = backtest({ ...options, history: few, split: splitFor(few, 0.2) })
  await expect(tried).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringMatching(/28 before the split and 7 after it. At least 30 are needed before and 10 after/),
  })
  await expect(backtest({ ...options, history: [], split: splitFor([], 0.2) })).rejects.toThrow('of 0 tickets')
})

test('precision and recall count each value by what was thought and by what was', () => {
  const guess = (value: string) => ({ value, confidence: 1, isSure: true, others: [], source: 'model' as const })
  expect(valueRows([guess('a'), guess('a'), null, guess('c')], ['a', 'b', 'b', 'b'])).toEqual([
    { value: 'b', tickets: 3, guessed: 0, right: 0 },
    { value: 'a', tickets: 1, guessed: 2, right: 1 },
    { value: 'c', tickets: 0, guessed: 1, right: 0 },
  ])
})
