import type { Outcome } from '../api/operations.ts'
import type { Tone } from '../parts/badge.tsx'

export const OUTCOME_TONES: Record<Outcome, Tone> = {
  created: 'good',
  updated: 'accent',
  commented: 'accent',
  duplicate: 'plain',
  ignored: 'plain',
  rejected: 'bad',
}

/** Who sent it, in words. */
export function sourceLabel(source: string): string {
  if (source === 'open') return 'open'
  if (source === 'unknown') return 'unknown sender'
  return source.startsWith('key:') ? `key ${source.slice(4)}` : source
}

export const isRegistered = (source: string) => source !== 'open' && source !== 'unknown' && !source.startsWith('key:')

const UNPROVED = new Set([401, 403, 404])
/** Whether nobody proved who sent it: playing it again takes somebody to vouch for it. */
export const isUnproved = (delivery: { outcome: Outcome; status: number }) =>
  delivery.outcome === 'rejected' && UNPROVED.has(delivery.status)

export function bytes(size: number): string {
  if (size < 1024) return `${size} B`
  if (size < 1_048_576) return `${(size / 1024).toFixed(1)} KB`
  return `${(size / 1_048_576).toFixed(1)} MB`
}

export function milliseconds(ms: number | null): string {
  if (ms === null) return '–'
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`
  return ms >= 10 ? `${Math.round(ms)} ms` : `${ms.toFixed(1)} ms`
}
