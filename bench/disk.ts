import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const PAGE = Buffer.alloc(4096, 0x5a)

/** How long this disk takes to keep 4 KB appended to a file for good, in ms, `count` times. */
export function syncTimes(directory: string, count: number): number[] {
  const path = join(directory, 'fdatasync.probe')
  const file = openSync(path, 'w')
  try {
    return Array.from({ length: count }, () => {
      const start = performance.now()
      writeSync(file, PAGE)
      fdatasyncSync(file)
      return performance.now() - start
    })
  } finally {
    closeSync(file)
    rmSync(path)
  }
}
