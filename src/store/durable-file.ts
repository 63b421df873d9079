import { closeSync, fsyncSync, linkSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/** A file, or the names in a folder. */
export function syncToDisk(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/**
 * Writes a private file that is whole and on disk before it has its name, so that no crash leaves half of one. False
 * when there is one of that name: where two make it at once, the first wins.
 */
export function createOnce(path: string, text: string): boolean {
  const partial = `${path}.${process.pid}.partial`
  try {
    writeFileSync(partial, text, { mode: 0o600, flush: true })
    linkSync(partial, path)
    syncToDisk(dirname(path))
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(partial, { force: true })
  }
}

/** Puts a private file in the place of the one of that name; whatever happens, there is the old one or the new. */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const partial = `${path}.${process.pid}.partial`
  const file = await open(partial, 'w', 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(partial, path)
}
