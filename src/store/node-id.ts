import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { createOnce } from './durable-file.ts'
import { prepareDirectory, StoreError } from './sqlite-files.ts'

// As the configuration has it.
const NODE_ID = /^[A-Za-z0-9][\w.-]{0,63}$/

/**
 * Who this node is, for good: its part of the audit log is a chain of its own. Made once and kept in the data directory,
 * unless it is `given`. Throws StoreError.
 */
export function nodeId(directory: string, given: string | null): string {
  if (given !== null) return given
  prepareDirectory(directory)
  const path = join(directory, 'node-id')
  const known = read(path)
  if (known !== null) return known
  createOnce(path, `${randomUUID()}\n`)
  return read(path) ?? refuse(path)
}

function read(path: string): string | null {
  let text: string
  try {
    text = readFileSync(path, 'utf8').trim()
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null
    throw new StoreError(`${path} cannot be read (${String(cause)}); let the server's user read it`, { cause })
  }
  return NODE_ID.test(text) ? text : refuse(path)
}

function refuse(path: string): never {
  throw new StoreError(`${path} holds no node's id; put the right file back, or move it away and a new chain begins`)
}
