import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { nodeId } from '../../src/store/node-id.ts'
import { temporaryDirectory } from '../server.ts'

let directory: string
beforeEach(async () => {
  directory = await temporaryDirectory()
})
afterEach(() => rm(directory, { recursive: true, force: true }))

test('a node keeps the name that it was given by its first start', async () => {
  const first = nodeId(directory, null)
  expect(first).toMatch(/^[0-9a-f-]{36}$/)
  expect(nodeId(directory, null)).toBe(first)
  expect((await readFile(join(directory, 'node-id'), 'utf8')).trim()).toBe(first)
})

test('a name that is set counts, and is not written down', () => {
  expect(nodeId(directory, 'one')).toBe('one')
  expect(nodeId(directory, null)).not.toBe('one')
})

test('a damaged name is refused, because another one would begin another chain', async () => {
  await writeFile(join(directory, 'node-id'), '\0\0\0')
  expect(() => nodeId(directory, null)).toThrow(/holds no node's id/)
})
