import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { spawn, spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { createLineWriter } from '../../src/log-lines.ts'

let directory: string
beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), 'log-lines-'))))
afterEach(() => rmSync(directory, { recursive: true }))

const dropped = (lines: number) => `${lines} dropped\n`

test('lines come out whole and in order, however many are written while others are', async () => {
  const path = join(directory, 'log')
  const fd = openSync(path, 'w')
  const writer = createLineWriter(fd, dropped)
  const lines = Array.from({ length: 20_000 }, (_, index) => `${index} ${'äöü'.repeat(index % 50)}\n`)
  for (const [index, line] of lines.entries()) {
    writer.write(line)
    if (index % 1000 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  await writer.flush()
  closeSync(fd)
  expect(readFileSync(path, 'utf8')).toBe(lines.join(''))
})

test('a line is there after a second at the latest, without a flush', async () => {
  const path = join(directory, 'log')
  const fd = openSync(path, 'w')
  const writer = createLineWriter(fd, dropped)
  for (const line of ['one\n', 'two\n']) {
    writer.write(line)
    await expect.poll(() => readFileSync(path, 'utf8'), { timeout: 5000 }).toContain(line)
  }
  closeSync(fd)
})

test('where nobody reads, a bounded number waits, and the others are counted', async () => {
  const path = join(directory, 'pipe')
  spawnSync('mkfifo', [path])
  const reader = spawn('cat', [path], { stdio: ['ignore', 'pipe', 'ignore'] })
  const fd = openSync(path, 'w')
  reader.kill('SIGSTOP')
  const writer = createLineWriter(fd, dropped)
  const line = `${'x'.repeat(999)}\n`
  for (let count = 0; count < 20_000; count += 1) writer.write(line)
  reader.kill('SIGCONT')
  let text = ''
  reader.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await writer.flush()
  closeSync(fd)
  await once(reader, 'close')
  const lost = Number(/^(\d+) dropped$/m.exec(text)?.[1])
  expect(lost).toBeGreaterThan(11_000)
  expect(text.match(/^x{999}$/gm)).toHaveLength(20_000 - lost)
})

test('where nobody reads any more, writing goes on and comes to an end', async () => {
  const path = join(directory, 'pipe')
  spawnSync('mkfifo', [path])
  const reader = spawn('cat', [path], { stdio: 'ignore' })
  const fd = openSync(path, 'w')
  reader.kill('SIGKILL')
  await once(reader, 'close')
  const writer = createLineWriter(fd, dropped)
  for (let count = 0; count < 20_000; count += 1) writer.write(`${'x'.repeat(99)}\n`)
  await writer.flush()
  closeSync(fd)
})
