import { expect, test } from 'vitest'
import { searchOf, wordsOf } from '../../src/store/postgres-words.ts'

const nothing = { title: '', description: '', userEmail: null, userId: null, externalId: null }
const words = (over: Partial<typeof nothing> | Record<string, string>) => wordsOf({ ...nothing, ...over }).split(' ')

test('words are letters and digits, once each, without case and accents', () => {
  expect(words({ title: 'Größe: GRÖSSE? größe!', externalId: 'EXT-99' })).toEqual(['große', 'grosse', 'ext', '99'])
  expect(words({ description: '支払い 😀 не открывается' })).toEqual(['支払い', 'не', 'открывается'])
})

test('a search is never more than words, whatever is typed', () => {
  expect(searchOf(`O'Neil | !a & (b <-> c):*`)).toBe(`'o' & 'neil' & 'a' & 'b' & 'c':*`)
  expect(searchOf(`pay* "late" x\\'y`)).toBe(`'pay':* & 'late' & 'x' & 'y'`)
  expect(searchOf(' " \\ \' 😀 ')).toBeNull()
})

test('an address of mail is one word, and found in any case', () => {
  const search = searchOf('ann@SHOP.example') ?? ''
  expect(words({ userEmail: 'Ann@Shop.example' })).toContain(search.slice(1, -1))
})

test('what one ticket is found by stays within what a database takes', () => {
  const long = wordsOf({ ...nothing, title: 'x'.repeat(10_000), description: `${'y'.repeat(3000)} z` })
  expect(long.split(' ').map(({ length }) => length)).toEqual([250, 250, 1])
  const many = Array.from({ length: 200_000 }, (_, index) => `w${index}`).join(' ')
  expect(wordsOf({ ...nothing, title: 'first', description: many })).toMatch(/^first w0 /)
  expect(Buffer.byteLength(wordsOf({ ...nothing, description: many }))).toBeLessThan(1_000_000)
})
