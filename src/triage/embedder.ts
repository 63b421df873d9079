/** Turns texts into vectors of length one: near means alike. */
export type Embedder = {
  /** Of the model; vectors of two ids are never held against each other. */
  id: string
  /** Null until the first answer of a server says it. */
  dims: number | null
  /** ISO 639-1 codes of what it understands; null for all. */
  languages: readonly string[] | null
  /** One vector a text, in order. Rejects with a sentence when it cannot, or when `signal` says so. */
  embed: (texts: readonly string[], signal: AbortSignal) => Promise<Float32Array[]>
}

/** Which embedder: the one that comes with the program, none, or a server's. */
export type EmbedderConfig =
  | { kind: 'bundled' }
  | { kind: 'none' }
  | {
      kind: 'openai' | 'ollama'
      /** Up to what comes before `/embeddings` (OpenAI) or `/api/embed` (Ollama). */
      url: string
      model: string
      key?: string | null
      /** How long one request may take. */
      timeoutMs?: number
    }

/** Whether its vectors of a text in this language mean anything. Null is a language that nobody recognised. */
export const understands = ({ languages }: Pick<Embedder, 'languages'>, language: string | null): boolean =>
  languages === null || language === null || languages.includes(language)

/** To length one, so that a product of two is their cosine. */
export function unit(values: ArrayLike<number>): Float32Array {
  const vector = Float32Array.from(values)
  const norm = Math.hypot(...vector)
  if (norm > 0) for (let d = 0; d < vector.length; d += 1) vector[d] = (vector[d] as number) / norm
  return vector
}
