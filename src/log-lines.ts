import { write } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

/** Written at once: a write costs a change of threads, however long it is. */
const BLOCK = 16_384
/** What waits for a reader at most, in characters; beyond it lines are dropped, and how many is said. */
const MOST = 8_388_608
const LATE_MS = 1000
const AGAIN_MS = 100

const writeSome = promisify(write)

export type LineWriter = {
  write: (line: string) => void
  /** Writes what waits. Does not resolve as long as nobody reads. */
  flush: () => Promise<void>
}

/**
 * Lines to a file, pipe or terminal, in blocks or after a second, without waiting for whoever reads them. Once that is
 * nobody any more, they go nowhere.
 */
export function createLineWriter(fd: number, dropped: (lines: number) => string): LineWriter {
  let lines: string[] = []
  let size = 0
  let lost = 0
  let running: Promise<void> | null = null

  async function drain(): Promise<void> {
    do {
      const block = Buffer.from(lines.join(''))
      lines = lost === 0 ? [] : [dropped(lost)]
      size = 0
      lost = 0
      await writeWhole(fd, block)
    } while (size >= BLOCK)
    running = null
  }

  const start = () => (running ??= drain())

  async function flush(): Promise<void> {
    await running
    if (lines.length > 0) await start()
  }

  setInterval(() => lines.length > 0 && start(), LATE_MS).unref()

  return {
    write: (line) => {
      if (size > MOST) return void (lost += 1)
      lines.push(line)
      size += line.length
      if (size >= BLOCK) void start()
    },
    flush,
  }
}

async function writeWhole(fd: number, block: Buffer): Promise<void> {
  for (let at = 0; at < block.length;) {
    try {
      at += (await writeSome(fd, block, at)).bytesWritten
    } catch (error) {
      // A pipe that is full, and is not to be waited for by a thread.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return
      await sleep(AGAIN_MS, undefined, { ref: false })
    }
  }
}
