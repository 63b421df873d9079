import { expect, test } from 'vitest'

import { createFinder, type Document } from '../../src/triage/finder.ts'

const ticket = (id: number, text: string, rest: Partial<Document> = {}): Document => ({
  kind: 'ticket',
  id,
  text,
  vector: null,
  isSolved: false,
  ...rest,
})

function unit(...parts: number[]): Float32Array {
  const length = Math.hypot(...parts)
  return Float32Array.from(parts, (part) => part / length)
}

test('finds the ticket whose words are nearest, whatever their forms', () => {
  const finder = createFinder(100)
  finder.add(ticket(1, 'The invoice was charged twice on my card'))
  finder.add(ticket(2, 'I cannot log in after the password reset'))
  finder.add(ticket(3, 'The export of invoices is slow'))
  const found = finder.find({ text: 'charging me twice for one invoice', vector: null, limit: 2 })
  expect(found.map(({ id }) => id)).toEqual([1, 3])
  expect(found[0]?.score).toBeGreaterThan(found[1]?.score ?? 1)
})

test('finds by meaning what has no word in common, and leaves out what has neither', () => {
  const finder = createFinder(100)
  finder.add(ticket(1, 'Sign-in impossible', { vector: unit(1, 0.1, 0) }))
  finder.add(ticket(2, 'Colours look odd', { vector: unit(0, 0, 1) }))
  const found = finder.find({ text: 'cannot get through authentication', vector: unit(1, 0, 0), limit: 5 })
  expect(found.map(({ id }) => id)).toEqual([1])
})

test('the same text and vector score 1, whatever else is there', () => {
  const finder = createFinder(100)
  for (let id = 1; id <= 20; id += 1) finder.add(ticket(id, `printer number ${id} smokes`, { vector: unit(id, 1) }))
  const [best] = finder.find({ text: 'printer number 7 smokes', vector: unit(7, 1), limit: 1 })
  expect(best?.id).toBe(7)
  expect(best?.score).toBeGreaterThan(0.99)
})

test('a changed ticket is found by its new words alone, a removed one not at all', () => {
  const finder = createFinder(100)
  finder.add(ticket(1, 'printer'))
  finder.add(ticket(1, 'scanner', { isSolved: true }))
  expect(finder.find({ text: 'printer', vector: null, limit: 5 })).toEqual([])
  expect(finder.find({ text: 'scanner', vector: null, limit: 5, isSolved: true })).toHaveLength(1)
  finder.remove('ticket', 1)
  expect(finder.find({ text: 'scanner', vector: null, limit: 5 })).toEqual([])
  expect(finder.size('ticket')).toBe(0)
})

test('holds the newest of each kind, and neither takes the room of the other', () => {
  const finder = createFinder(3)
  for (let id = 1; id <= 5; id += 1) finder.add(ticket(id, 'printer'))
  finder.add(ticket(1, 'printer', { kind: 'chunk' }))
  const found = finder.find({ text: 'printer', vector: null, limit: 10 })
  expect(found.map(({ kind, id }) => `${kind} ${id}`).toSorted()).toEqual([
    'chunk 1',
    'ticket 3',
    'ticket 4',
    'ticket 5',
  ])
})

test('a ticket is not found for itself', () => {
  const finder = createFinder(10)
  finder.add(ticket(1, 'printer'))
  expect(finder.find({ text: 'printer', vector: null, limit: 5, except: 1 })).toEqual([])
})

test('two tickets in nearly the same words are probably the same, two about the same are not', () => {
  const finder = createFinder(100)
  finder.add(ticket(1, 'Export to CSV fails with error 500 since this morning'))
  finder.add(ticket(2, 'The CSV has an empty column'))
  const [first, second] = finder.find({
    text: 'export to csv fails: error 500 since this morning!',
    vector: null,
    limit: 5,
  })
  expect(first).toMatchObject({ id: 1, isDuplicate: true })
  expect(second).toMatchObject({ id: 2, isDuplicate: false })
})

test('words of any script are words', () => {
  const finder = createFinder(100)
  finder.add(ticket(1, 'プリンターが動かない'))
  finder.add(ticket(2, 'Der Drucker brennt'))
  expect(finder.find({ text: 'プリンター', vector: null, limit: 5 })).toMatchObject([{ id: 1 }])
  expect(finder.find({ text: 'drucker', vector: null, limit: 5 })).toMatchObject([{ id: 2 }])
})

test('a ticket that is merged into another is not found, and is again, by meaning too, when it is un-merged', () => {
  const finder = createFinder(100)
  finder.add(ticket(1, 'printer smokes', { vector: unit(1, 0) }))
  const ask = () => finder.find({ text: 'printer smokes', vector: unit(1, 0), limit: 5 })
  const [before] = ask()
  const { vector: _, ...told } = ticket(1, 'printer smokes')
  finder.add({ ...told, isMerged: true, isSolved: true })
  expect(ask()).toEqual([])
  finder.add({ ...told, isMerged: false })
  expect(ask()).toEqual([before])
})
