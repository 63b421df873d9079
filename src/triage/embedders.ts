import { AppError } from '../core/errors.ts'
import { createBundledEmbedder } from './embedder-bundled.ts'
import type { Embedder } from './embedder.ts'

/** The embedder that a word or a URL names: `bundled`, `none` (null), or a server with its model. */
export function createEmbedder(name: string, model?: string): Embedder | null {
  if (name === 'none') return null
  if (name === 'bundled') return createBundledEmbedder()
  throw new AppError('malformed', `There is no embedder ${name} ${model ?? ''}`)
}
