import { createBundledEmbedder } from './embedder-bundled.ts'
import type { Embedder, EmbedderConfig } from './embedder.ts'

/** The embedder of this configuration; null for none. What talks to servers is loaded only where one is set. */
export async function createEmbedder(config: EmbedderConfig): Promise<Embedder | null> {
  if (config.kind === 'none') return null
  if (config.kind === 'bundled') return createBundledEmbedder()
  const { createServerEmbedder } = await import('./embedder-server.ts')
  return createServerEmbedder(config)
}
