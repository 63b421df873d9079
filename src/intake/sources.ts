import { createHmac, hash } from 'node:crypto'

import { AppError, fail } from '../core/errors.ts'
import { type CompiledFieldMap, compileFieldMap } from '../core/field-map.ts'
import { networkMatcher } from '../core/network.ts'
import type { Platform } from '../core/platform.ts'
import { perMinute, type Rate } from '../core/rate.ts'
import { compileRedaction, type Redaction } from '../core/redaction.ts'
import type { Verify } from '../core/signature.ts'
import type { Source, SourceSettings } from '../core/source.ts'
import type { SourceStore } from '../store/store.ts'
import type { Gate } from './keys.ts'
import type { Limits } from './limits.ts'
import type { Platforms } from './platforms.ts'
import type { RawRequest, Sender } from './request.ts'
import type { Vault } from './vault.ts'

/** Of a source whose signatures do not match, so many bodies are kept, to be replayed once its secret is mended. */
const UNVERIFIED = { bodies: 1000, bytes: 33_554_432, windowMs: 3_600_000 }

/** How long what a signature was bound to is remembered: twice as long as any signature is good. */
const NONCE_MS = 600_000
const NONCES = 100_000

/** A source ready for its deliveries: everything compiled, every secret open. */
export type Registered = {
  id: string
  settings: SourceSettings
  isDisabled: boolean
  /** Why it can take nothing just now, though it is set up; null when it can. */
  fault: string | null
  platform: Platform | null
  /** Whether its sender signs what it sends; a token proves the sender alone. */
  signs: boolean
  isFrom: (address: string) => boolean
  /** Null where a key or the address is what it has to show. */
  verify: Verify | null
  secrets: { value: string; expiresAt: number | null }[]
  rate: Rate | null
  fieldMap: CompiledFieldMap | null
  redaction: Redaction | null
  /** Keyed, so that nothing can be guessed from it. */
  fingerprint: (body: Buffer | string) => string
}

export type Sources = {
  /** Whether there has ever been one. */
  isAny: () => boolean
  find: (id: string) => Registered | null
  /** Before the body is read: throws `not_found`, `forbidden`. */
  admit: (request: Pick<RawRequest, 'sourceId' | 'address'>) => Registered
  /** With the body: throws `unauthenticated`, `forbidden`, `rate_limited`, `unavailable`. */
  authenticate: (request: RawRequest, gate: Gate) => Sender
  /** Whether the body of a delivery that was not proved to be the source's may still be kept. */
  mayKeep: (id: string, bytes: number, now: number) => boolean
  close: () => void
}

export async function createSources(deps: {
  store: SourceStore
  platforms: Platforms
  vault: Vault
  limits: Limits
  onError: (error: unknown) => void
}): Promise<Sources> {
  const { store, platforms, vault, limits, onError } = deps
  const key = vault.derive('fingerprints')
  const fingerprint = (body: Buffer | string) => createHmac('sha256', key).update(body).digest('hex')
  const workshop = { platforms, vault, fingerprint }
  let byId = new Map<string, Registered>()
  let isAny = false
  const unverified = new Map<string, { since: number; bodies: number; bytes: number }>()
  const nonces = new Map<string, { body: string; at: number }>()

  async function load(): Promise<void> {
    const all = await store.sources()
    const loaded = all.filter(({ deletedAt }) => deletedAt === null).map((source) => compile(source, workshop))
    for (const { id, fault } of loaded) {
      if (fault !== null && byId.get(id)?.fault !== fault) onError(new Error(`source ${id}: ${fault}`))
    }
    isAny = all.length > 0
    byId = new Map(loaded.map((source) => [source.id, source]))
  }
  await load()
  const unwatch = store.onSourcesChanged(() => void load().catch(onError))

  function admit({ sourceId, address }: Pick<RawRequest, 'sourceId' | 'address'>): Registered {
    const source = byId.get(sourceId ?? '')
    if (source === undefined) return refuse(address, 'not_found', `No source ${String(sourceId)}`)
    if (source.isDisabled) return fail('forbidden', `Source ${source.id} is disabled`)
    if (!source.isFrom(address)) {
      return refuse(address, 'forbidden', `Address ${address} is not in the networks of source ${source.id}`)
    }
    return source
  }

  function refuse(address: string, code: 'not_found' | 'forbidden' | 'unauthenticated', detail: string): never {
    limits.failure(address, Date.now())
    return fail(code, detail)
  }

  function authenticate(request: RawRequest, gate: Gate): Sender {
    const source = admit(request)
    if (source.fault !== null)
      fail('unavailable', `Source ${source.id} cannot take deliveries now; send it again later`)
    if (source.settings.auth === 'key') gate.authenticate(request, 'intake')
    if (source.verify !== null) verify(source, source.verify, request)
    if (source.rate !== null) limits.source(source.id, source.rate, request.receivedAt)
    return { source: source.id, registered: source }
  }

  function verify({ id, secrets, platform }: Registered, isSigned: Verify, request: RawRequest): void {
    const { receivedAt: now, address } = request
    const good = secrets.filter(({ expiresAt }) => expiresAt === null || expiresAt > now).map(({ value }) => value)
    const fault = isSigned(request, good, now)
    if (fault !== null) refuse(address, 'unauthenticated', `${FAULTS[fault]} ${id}`)
    const nonce = platform?.nonce?.(request) ?? null
    if (nonce !== null && !isFirstUse(`${id} ${nonce}`, request)) {
      refuse(address, 'unauthenticated', `Signature was used before with another body by source ${id}`)
    }
  }

  /** Whether a signature that binds no body comes for the first time, or with the same body again. */
  function isFirstUse(nonce: string, { body, receivedAt: now }: RawRequest): boolean {
    for (const [old, { at }] of nonces) {
      if (now - at < NONCE_MS && nonces.size < NONCES) break
      nonces.delete(old)
    }
    const digest = hash('sha256', body)
    const known = nonces.get(nonce)
    if (known === undefined) nonces.set(nonce, { body: digest, at: now })
    return known === undefined || known.body === digest
  }

  function mayKeep(id: string, bytes: number, now: number): boolean {
    let kept = unverified.get(id)
    if (kept === undefined || Math.abs(now - kept.since) > UNVERIFIED.windowMs) {
      kept = { since: now, bodies: 0, bytes: 0 }
      unverified.set(id, kept)
    }
    if (kept.bodies >= UNVERIFIED.bodies || kept.bytes + bytes > UNVERIFIED.bytes) return false
    kept.bodies += 1
    kept.bytes += bytes
    return true
  }

  return { isAny: () => isAny, find: (id) => byId.get(id) ?? null, admit, authenticate, mayKeep, close: unwatch }
}

const FAULTS = {
  missing: 'Signature or token is missing; send what was agreed for source',
  mismatch: 'Signature or token does not match; check the secret of source',
  'no time': 'Signature has no time; check how it is made for source',
  stale: 'Signature is too old or from the future; check the clock of the sender of source',
} as const

type Workshop = { platforms: Platforms; vault: Vault; fingerprint: Registered['fingerprint'] }

function compile({ id, settings, secrets, disabledAt }: Source, workshop: Workshop): Registered {
  const { platforms, vault, fingerprint } = workshop
  const bare = {
    id,
    settings,
    isDisabled: disabledAt !== null,
    platform: null,
    signs: false,
    isFrom: settings.networks.length === 0 ? () => true : networkMatcher(settings.networks),
    verify: null,
    secrets: [],
    rate: perMinute(settings.rate),
    fieldMap: null,
    redaction: null,
    fingerprint,
  }
  try {
    const { platform, scheme, verify } = verifierOf(settings, platforms)
    return {
      ...bare,
      fault: null,
      platform,
      signs: verify !== null && scheme !== 'token',
      verify,
      secrets: secrets.map(({ sealed, expiresAt }) => ({ value: vault.open(sealed, `source ${id}`), expiresAt })),
      fieldMap: Object.keys(settings.field_map).length === 0 ? null : compileFieldMap(settings.field_map),
      redaction: compileRedaction(settings.redaction, fingerprint),
    }
  } catch (error) {
    if (error instanceof AppError) return { ...bare, fault: error.message }
    throw error
  }
}

/** How a source is verified. Throws `malformed` where its settings do not go together. */
export function verifierOf(
  settings: Pick<SourceSettings, 'platform' | 'scheme' | 'auth' | 'networks'>,
  platforms: Platforms,
): { platform: Platform | null; scheme: string | null; verify: Verify | null } {
  const platform = settings.platform === null ? null : platforms.named(settings.platform, {}, {})
  if (settings.auth === 'network' && settings.networks.length === 0) {
    fail('malformed', 'auth network needs networks: without any, everybody could send')
  }
  if (settings.auth !== 'signature') return { platform, scheme: null, verify: null }
  const { schemes } = platform ?? platforms.named('flat', {}, {})
  const scheme = settings.scheme ?? Object.keys(schemes)[0] ?? ''
  const verify = Object.hasOwn(schemes, scheme) ? schemes[scheme] : undefined
  if (verify === undefined) {
    return fail(
      'malformed',
      `scheme must be one of ${Object.keys(schemes).join(', ')} for ${platform?.label ?? 'the flat form'}`,
    )
  }
  return { platform, scheme, verify }
}
