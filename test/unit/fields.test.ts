import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { at, fieldsOf, flag, list, raw, rest, skip, text, time, timeFrom, words } from '../../src/core/fields.ts'
import { priorityFrom, priorityFromLabels } from '../../src/core/priority.ts'

describe('a payload that is read field by field', () => {
  test('keeps for later exactly what nobody read, without what is empty', () => {
    const body = fieldsOf({
      id: 7,
      event: { kind: 'created', actor: { id: 1, name: 'Ann' } },
      items: [{ a: 1, b: 2 }, { a: 3 }],
      nothing: null,
      blank: '',
      none: [],
      other: { x: 1 },
    })
    expect(text(body, 'id')).toBe('7')
    expect(text(at(body, 'event', 'actor'), 'name')).toBe('Ann')
    expect(list(body, 'items').map((item) => text(item, 'a'))).toEqual(['1', '3'])
    expect(rest(body)).toEqual({ event: { kind: 'created', actor: { id: 1 } }, items: [{ b: 2 }], other: { x: 1 } })
    skip(body, 'event', 'items')
    expect(raw(body, 'other')).toEqual({ x: 1 })
    expect(rest(body)).toBeNull()
  })

  test('of another type than the one asked for is absent, and is kept', () => {
    const body = fieldsOf({ title: { html: 'x' }, tags: { a: 1 }, items: 'x', flag: 'perhaps', nested: 'x' })
    expect(text(body, 'title')).toBeNull()
    expect(words(body, 'tags')).toEqual([])
    expect(list(body, 'items')).toEqual([])
    expect(flag(body, 'nothing')).toBeNull()
    expect(text(at(body, 'nested', 'deep'), 'x')).toBeNull()
    expect(rest(body)).toMatchObject({ title: { html: 'x' }, tags: { a: 1 }, items: 'x', nested: 'x' })
  })

  test('takes the first name that says something, and keeps what the others say', () => {
    const body = fieldsOf({ title: '  ', subject: 'a', name: 'b' })
    expect(text(body, 'title', 'subject', 'name')).toBe('a')
    expect(rest(body)).toEqual({ title: '  ', name: 'b' })
  })

  test('has no fields but its own', () => {
    const body = fieldsOf(JSON.parse('{"__proto__":{"polluted":1},"toString":"x"}'))
    expect(text(body, 'constructor', 'hasOwnProperty', 'valueOf')).toBeNull()
    expect(text(body, 'toString')).toBe('x')
    expect(text(at(body, 'constructor'), 'name')).toBeNull()
    const left = rest(body) ?? {}
    expect(Object.keys(left)).toEqual(['__proto__'])
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  })

  test('is words where it is a list of words, of named things, or one line', () => {
    const body = fieldsOf({ a: ['x', 2], b: [{ name: 'x' }, { title: 'y' }], c: 'x, y', d: [['x']], e: '' })
    expect(['a', 'b', 'c', 'd', 'e'].map((key) => words(body, key))).toEqual([
      ['x', '2'],
      ['x', 'y'],
      ['x', 'y'],
      [],
      [],
    ])
  })

  test('never throws, whatever it is, and loses nothing', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.string(), (value, key) => {
        const body = fieldsOf(value)
        for (const read of [text, words, list, flag, time, at]) read(body, key)
        expect(() => rest(body)).not.toThrow()
      }),
    )
  })
})

test.each([
  ['2026-11-20T09:14:58.412703118Z', Date.UTC(2026, 10, 20, 9, 14, 58, 412)],
  ['2026-11-20T10:14:58.120+0100', Date.UTC(2026, 10, 20, 9, 14, 58, 120)],
  ['2026-11-20 09:14:40', Date.UTC(2026, 10, 20, 9, 14, 40)],
  ['1795166100', 1_795_166_100_000],
  ['1795166100.872', 1_795_166_100_872],
  ['1795166100123', 1_795_166_100_123],
  ['1795166100123456', 1_795_166_100_123],
  ['yesterday', null],
  ['7', null],
  [null, null],
])('the time %j', (said, ms) => {
  expect(timeFrom(said)).toBe(ms)
})

describe('priority', () => {
  test('is read by the scale of its platform first, by common words else', () => {
    const scale = { '1': 'low', critical: 'high', '0': null } as const
    expect(
      ['1', '1 - Low', 'Critical', '0', 'urgent', '9', 'toString'].map((word) => priorityFrom(word, scale)),
    ).toEqual(['low', 'low', 'high', null, 'urgent', null, null])
  })

  test.each([
    [['bug', 'priority: high'], 'high'],
    [['P1'], 'urgent'],
    [['priority::2', 'p4'], 'high'],
    [['severity/critical'], 'urgent'],
    [['highlighting', 'slow', 'p10', 'allow-list'], null],
    [['low-priority'], 'low'],
    [['priority::medium'], 'medium'],
    [[], null],
  ])('of the labels %j is %s', (labels, priority) => {
    expect(priorityFromLabels(labels).is).toBe(priority)
  })
})
