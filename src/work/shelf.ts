import { setTimeout as sleep } from 'node:timers/promises'

import type { ArticleStore, StoredChunk } from '../store/store.ts'
import type { Engine } from '../triage/engine.ts'
import { type Document, quantised } from '../triage/finder.ts'

/** Also without news: the engine may have been started again, or its embedder works again. */
const POLL_MS = 10_000
const RETRY_MS = 1_000
/** Pieces whose meaning is kept in one commit. They are asked for one by one: the engine answers nobody else meanwhile. */
const AT_A_TIME = 8

type Known = { sha256: string; chunks: number[]; isWhole: boolean }

/**
 * Keeps the engine's memory of articles, also of those that another node or the command line changes. A piece whose
 * meaning is not known yet is asked for it once, and the answer kept for every node and the next start.
 */
export function startShelf(deps: {
  store: ArticleStore
  engine: Pick<Engine, 'index' | 'forget' | 'embed' | 'state'>
  onError: (error: unknown) => void
  pollMs?: number
}): { close: () => Promise<void> } {
  const { store, engine, onError, pollMs = POLL_MS } = deps
  const closing = new AbortController()
  const known = new Map<number, Known>()
  let restarts = -1
  let isNews = true
  let wake = Promise.withResolvers<void>()
  const unsubscribe = store.onArticlesChanged(() => {
    isNews = true
    wake.resolve()
  })
  const running = run()

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      wake = Promise.withResolvers()
      try {
        await look()
      } catch (error) {
        isNews = true
        if (!closing.signal.aborted) onError(error)
      }
      // What failed, or came meanwhile, is not left until the next news.
      await Promise.race([wake.promise, sleep(isNews ? RETRY_MS : pollMs, undefined, { ref: false })])
    }
  }

  async function look(): Promise<void> {
    const { restarts: now, embedder } = await engine.state()
    // A thread that was started again has forgotten everything.
    if (now !== restarts) known.clear()
    if (now !== restarts || isNews) {
      restarts = now
      isNews = false
      await follow(embedder)
    }
    if (embedder !== null) await understandAll(embedder)
  }

  /** What is there by its words, and by its meaning as far as that is known. */
  async function follow(embedder: string | null): Promise<void> {
    const versions = await store.versions()
    const there = new Set(versions.map(({ id }) => id))
    for (const id of known.keys()) if (!there.has(id)) await forget(id)
    for (const { id, sha256 } of versions) {
      if (closing.signal.aborted) return
      if (known.get(id)?.sha256 === sha256) continue
      await forget(id)
      const chunks = await store.chunks(id, embedder)
      await engine.index(chunks.map(documentOf))
      const isWhole = chunks.every(({ vector }) => vector !== null)
      known.set(id, { sha256, chunks: chunks.map((chunk) => chunk.id), isWhole })
    }
  }

  async function forget(id: number): Promise<void> {
    const chunks = known.get(id)?.chunks ?? []
    known.delete(id)
    if (chunks.length > 0) await engine.forget('chunk', chunks)
  }

  /** Asks for the meanings that are missing, until there is news or the embedder fails; the next look goes on. */
  async function understandAll(embedder: string): Promise<void> {
    for (const [id, article] of known) {
      if (article.isWhole) continue
      const chunks = await store.chunks(id, embedder)
      const missing = chunks.filter(({ vector }) => vector === null)
      if (!(await understand(missing, embedder))) return
      article.isWhole = true
    }
  }

  /** Whether the embedder had a word on all of them, be it that it does not know their language. */
  async function understand(chunks: readonly StoredChunk[], embedder: string): Promise<boolean> {
    for (let from = 0; from < chunks.length; from += AT_A_TIME) {
      if (isNews || closing.signal.aborted) return false
      const some = chunks.slice(from, from + AT_A_TIME)
      const made: (StoredChunk & { vector: Int8Array })[] = []
      for (const chunk of some) {
        const [vector] = await engine.embed([textOf(chunk)])
        if (vector) made.push({ ...chunk, vector: quantised(vector) })
      }
      if (made.length < some.length && (await engine.state()).problem !== null) return false
      await store.saveChunkVectors(embedder, new Map(made.map(({ id, vector }) => [id, vector])))
      await engine.index(made.map(documentOf))
    }
    return true
  }

  return {
    close: async () => {
      unsubscribe()
      closing.abort()
      wake.resolve()
      await running
    },
  }
}

const textOf = ({ heading, text }: Pick<StoredChunk, 'heading' | 'text'>): string => `${heading}\n${text}`

const documentOf = (chunk: StoredChunk): Document => ({
  kind: 'chunk',
  id: chunk.id,
  text: textOf(chunk),
  isSolved: true,
  vector: chunk.vector,
})
