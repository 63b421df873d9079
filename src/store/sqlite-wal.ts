import { readFileSync } from 'node:fs'

import { pageSize, StoreError } from './sqlite-files.ts'

const HEADER = 32
const FRAME_HEADER = 24
const MAGIC = 0x377f0682
/** Where a write-ahead log stops being readable, in bytes, and how many commits are written beyond that. */
export type BrokenLog = { offset: number; lost: number }

/**
 * SQLite reads a log up to the first frame that does not fit its checksum and takes that for the end: after a crash it
 * is. But the frames of two commits beyond it were never there in a crash, because each commit is on disk before the
 * next one is written: then something acknowledged cannot be read any more. (One commit may be the one that the crash
 * interrupted.) Null when there is nothing of the kind. `page` is the size of the store's pages in bytes, for a log whose
 * header does not say it any more. The file format is https://sqlite.org/fileformat2.html#walformat
 */
export function brokenLog(wal: Buffer, page: number): BrokenLog | null {
  if (wal.length < HEADER) return null
  const magic = wal.readUInt32BE(0)
  const sum = createSum((magic & 1) === 0)
  sum.add(wal, 0, 24)
  const isSound = (magic | 1) === (MAGIC | 1) && sum.fits(wal, 24)
  const size = FRAME_HEADER + (isSound ? wal.readUInt32BE(8) : page)
  let at = isSound ? HEADER : 0
  if (isSound) while (at + size <= wal.length && frameFits(wal, at, size, sum)) at += size
  const lost = commitsFrom(wal, Math.max(at, HEADER), size, !isSound)
  return lost >= 2 ? { offset: at, lost } : null
}

/** Throws StoreError where the log of the store at `path` is broken. Only while no server writes to it. */
export function assertWholeLog(path: string): void {
  const broken = brokenLog(readOrNothing(`${path}-wal`), pageSize(path))
  if (broken === null) return
  throw new StoreError(
    `${path}-wal is damaged: ${broken.lost} commits in it cannot be read; keep a copy of the directory, then restore a ` +
      `backup, or go on without them: truncate -s ${broken.offset} ${path}-wal`,
  )
}

function frameFits(wal: Buffer, at: number, size: number, sum: ReturnType<typeof createSum>): boolean {
  // The two salts of the log's header: frames of an earlier use of the file have others.
  if (wal.compare(wal, 16, 24, at + 8, at + 16) !== 0) return false
  sum.add(wal, at, at + 8)
  sum.add(wal, at + FRAME_HEADER, at + size)
  return sum.fits(wal, at + 16)
}

/** Frames that end a commit, of the present use of the log. Where its header is not to be trusted, the first frame's. */
function commitsFrom(wal: Buffer, from: number, size: number, byFirst: boolean): number {
  const salt = byFirst ? HEADER + 8 : 16
  let commits = 0
  for (let at = from; at + size <= wal.length; at += size) {
    if (wal.readUInt32BE(at + 4) !== 0 && wal.compare(wal, salt, salt + 8, at + 8, at + 16) === 0) commits += 1
  }
  return commits
}

function createSum(isLittle: boolean) {
  let [first, second] = [0, 0]
  return {
    add: (bytes: Buffer, from: number, to: number) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset)
      for (let at = from; at < to; at += 8) {
        first = (first + view.getUint32(at, isLittle) + second) | 0
        second = (second + view.getUint32(at + 4, isLittle) + first) | 0
      }
    },
    fits: (bytes: Buffer, at: number) => bytes.readInt32BE(at) === first && bytes.readInt32BE(at + 4) === second,
  }
}

function readOrNothing(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch {
    return Buffer.alloc(0)
  }
}
