import { z } from 'zod'

import { type Embedder, type EmbedderConfig, unit } from './embedder.ts'
import { askPeer } from './peer.ts'

type Server = Extract<EmbedderConfig, { url: string }>

const AT_A_TIME = 64
/** Models read 512 tokens and more; of a longer text the beginning. */
const TEXT_LIMIT = 4000
const TIMEOUT_MS = 20_000

const Vector = z.array(z.number()).min(1).max(16_384)
const OpenAi = z.object({ data: z.array(z.object({ index: z.number().optional(), embedding: Vector })) })
const Ollama = z.object({ embeddings: z.array(Vector) })

/** OpenAI's `/embeddings`, which most servers speak, or Ollama's `/api/embed`. */
export function createServerEmbedder({ kind, url, model, key = null, timeoutMs = TIMEOUT_MS }: Server): Embedder {
  const base = url.replace(/\/$/, '')
  const address = kind === 'ollama' ? `${base.replace(/\/api$/, '')}/api/embed` : `${base}/embeddings`

  async function embedSome(texts: readonly string[], signal: AbortSignal): Promise<Float32Array[]> {
    const input = texts.map((text) => text.slice(0, TEXT_LIMIT).toWellFormed().trim() || '-')
    const body = kind === 'ollama' ? { model, input, truncate: true } : { model, input, encoding_format: 'float' }
    const vectors = vectorsIn(kind, await askPeer({ url: address, body, key, timeoutMs, signal }))
    if (vectors === null || vectors.length !== texts.length || vectors.some((one) => !sameLength(one, vectors)))
      throw new Error(`${new URL(address).origin} did not answer with one vector a text`)
    return vectors.map(unit)
  }

  const embedder: Embedder = {
    id: `${kind}:${model}`,
    dims: null,
    languages: null,
    async embed(texts, signal) {
      const vectors: Float32Array[] = []
      for (let at = 0; at < texts.length; at += AT_A_TIME) {
        signal.throwIfAborted()
        vectors.push(...(await embedSome(texts.slice(at, at + AT_A_TIME), signal)))
      }
      const dims = vectors[0]?.length ?? embedder.dims
      if (embedder.dims !== null && dims !== embedder.dims)
        throw new Error(`${embedder.id} gave ${dims} numbers where it gave ${embedder.dims} before`)
      embedder.dims = dims
      return vectors
    },
  }
  return embedder
}

const sameLength = (one: readonly number[], all: readonly number[][]): boolean => one.length === all[0]?.length

function vectorsIn(kind: Server['kind'], answer: unknown): number[][] | null {
  if (kind === 'ollama') return Ollama.safeParse(answer).data?.embeddings ?? null
  const data = OpenAi.safeParse(answer).data?.data
  // In order, whatever order they came in.
  return data?.toSorted((one, other) => (one.index ?? 0) - (other.index ?? 0)).map(({ embedding }) => embedding) ?? null
}
