import { isMainThread, parentPort, Worker } from 'node:worker_threads'

import type { ArticleText, Chunk } from '../core/article.ts'
import { AppError } from '../core/errors.ts'
import { chunksOf } from './chunks.ts'

type Call = Pick<ArticleText, 'title' | 'body' | 'format'>
type Reply = { chunks: Chunk[] } | { error: string }

/** A megabyte of what people write takes 0.4 s; what is made to be slow takes minutes, and more memory than there is. */
const TIME_LIMIT_MS = 10_000
const HEAP_MB = 512
/** Who comes when so many wait is told to come again. */
const WAITING_LIMIT = 50

export type Chunker = {
  /** Throws AppError: `malformed` for what cannot be read in reasonable time, `unavailable` when too many wait. */
  chunks: (article: Call) => Promise<Chunk[]>
  close: () => Promise<void>
}

/**
 * Cuts articles in a thread of its own, one after the other: the readers of Markdown and HTML take the square of the
 * time on hostile text, and would keep every sender waiting.
 */
export function createChunker({ timeLimitMs = TIME_LIMIT_MS }: { timeLimitMs?: number } = {}): Chunker {
  let worker: Worker | null = null
  let line: Promise<unknown> = Promise.resolve()
  let waiting = 0

  function cut(article: Call): Promise<Chunk[]> {
    worker ??= start()
    const asked = worker
    return new Promise((resolve, reject) => {
      const refuse = (why: string) => {
        worker = null
        asked.terminate().catch(() => {})
        reject(new AppError('malformed', `The body ${why}; send it as text, or less of it`))
      }
      const timer = setTimeout(() => refuse(`takes more than ${timeLimitMs / 1000} s to read`), timeLimitMs)
      asked.removeAllListeners()
      asked.on('error', () => {
        clearTimeout(timer)
        refuse('takes too much memory to read')
      })
      asked.once('message', (reply: Reply) => {
        clearTimeout(timer)
        if ('chunks' in reply) resolve(reply.chunks)
        else refuse(`cannot be read (${reply.error})`)
      })
      asked.postMessage(article)
    })
  }

  return {
    async chunks({ title, body, format }) {
      if (waiting >= WAITING_LIMIT) throw new AppError('unavailable', 'Too many articles wait to be read; come again')
      waiting += 1
      try {
        const mine = line.then(() => cut({ title, body, format }))
        line = mine.catch(() => undefined)
        return await mine
      } finally {
        waiting -= 1
      }
    },
    close: async () => void (await worker?.terminate()),
  }
}

function start(): Worker {
  const made = new Worker(new URL(import.meta.url), {
    name: 'chunker',
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  })
  // It is not what keeps a process running.
  made.unref()
  return made
}

if (!isMainThread && parentPort !== null) serve(parentPort)

function serve(port: NonNullable<typeof parentPort>): void {
  port.on('message', (article: Call) => {
    try {
      port.postMessage({ chunks: chunksOf(article) } satisfies Reply)
    } catch (error) {
      const deep = error instanceof RangeError ? 'its parts lie too deep in each other' : String(error)
      port.postMessage({ error: deep } satisfies Reply)
    }
  })
}
