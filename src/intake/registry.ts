import { randomBytes } from 'node:crypto'

import { fail } from '../core/errors.ts'
import { compileFieldMap } from '../core/field-map.ts'
import { compileRedaction } from '../core/redaction.ts'
import type { SealedSecret, SettingsChange, Source, SourceSettings } from '../core/source.ts'
import type { SourceStore } from '../store/store.ts'
import type { Platforms } from './platforms.ts'
import { verifierOf } from './sources.ts'
import type { Vault } from './vault.ts'

/** How many secrets a source may have at a time: the current one, and those that it replaced not long ago. */
const SECRETS = 5
const SECRET_LIMIT = 4096

/** A source, and its secret where this made one: it is shown this once. */
export type Made = { source: Source; secret: string | null }

export type Registry = ReturnType<typeof createRegistry>

/** Makes and changes sources. Throws AppError `malformed`, `not_found` and `conflict`. */
export function createRegistry(deps: { store: SourceStore; platforms: Platforms; vault: Vault }) {
  const { store, platforms, vault } = deps

  async function list(): Promise<Source[]> {
    return (await store.sources()).filter(({ deletedAt }) => deletedAt === null)
  }

  async function find(id: string): Promise<Source> {
    return (await list()).find((source) => source.id === id) ?? fail('not_found', `No source ${id}`)
  }

  /** `secret` is the sender's own; one is made where it has none and needs one. */
  async function create(id: string, given: SettingsChange, secret: string | null, now: number): Promise<Made> {
    const settings = withChange({ ...PRESET, name: id }, given)
    check(settings)
    const made = settings.auth === 'signature' && secret === null ? generate(settings) : null
    const current = secret ?? made
    const secrets = current === null ? [] : [sealed(id, current, now)]
    if (!(await store.addSource({ id, settings, secrets, createdAt: now }))) {
      fail('conflict', `There is a source ${id} already`)
    }
    return { source: await find(id), secret: made }
  }

  async function update(
    id: string,
    change: SettingsChange & { disabled?: boolean | undefined },
    now: number,
  ): Promise<Source> {
    const source = await find(id)
    const { disabled, ...given } = change
    const settings = withChange(source.settings, given)
    check(settings)
    if (settings.auth === 'signature' && source.secrets.length === 0) {
      fail('conflict', `Source ${id} has no secret yet; rotate it first`)
    }
    const disabledAt = disabled === undefined ? source.disabledAt : disabled ? (source.disabledAt ?? now) : null
    return save({ ...source, settings, disabledAt }, source, now)
  }

  /** Gives it a new secret; those it has go on to count for `overlapMs`. */
  async function rotate(id: string, secret: string | null, overlapMs: number, now: number): Promise<Made> {
    const source = await find(id)
    const made = secret === null ? generate(source.settings) : null
    const ends = now + overlapMs
    const old = source.secrets
      .map((one) => ({ ...one, expiresAt: Math.min(one.expiresAt ?? ends, ends) }))
      .filter(({ expiresAt }) => expiresAt > now)
    const secrets = [sealed(id, secret ?? made ?? '', now), ...old].slice(0, SECRETS)
    return { source: await save({ ...source, secrets }, source, now), secret: made }
  }

  async function remove(id: string, now: number): Promise<void> {
    if (!(await store.removeSource(id, now))) fail('not_found', `No source ${id}`)
  }

  async function save(source: Source, seen: Source, now: number): Promise<Source> {
    const updatedAt = Math.max(now, seen.updatedAt + 1)
    if (!(await store.updateSource({ ...source, updatedAt }, seen.updatedAt))) {
      fail('conflict', `Source ${source.id} was changed at the same time; look at it and try again`)
    }
    return { ...source, updatedAt }
  }

  function check(settings: SourceSettings): void {
    verifierOf(settings, platforms)
    compileFieldMap(settings.field_map)
    compileRedaction(settings.redaction, () => '')
  }

  function sealed(id: string, secret: string, now: number): SealedSecret {
    if (secret.trim() === '' || secret.length > SECRET_LIMIT) {
      fail('malformed', `A secret has 1 to ${SECRET_LIMIT} characters`)
    }
    const name = `sec_${randomBytes(6).toString('hex')}`
    return { id: name, sealed: vault.seal(secret, `source ${id}`), createdAt: now, expiresAt: null }
  }

  /** In the form that its scheme reads. */
  function generate(settings: SourceSettings): string {
    const { platform, scheme } = verifierOf({ ...settings, auth: 'signature' }, platforms)
    const isStandard =
      scheme === 'standard-webhooks' ||
      (scheme === 'signature' && (platform?.id === 'standard-webhooks' || platform?.id === 'gitlab'))
    return isStandard ? `whsec_${randomBytes(32).toString('base64')}` : randomBytes(32).toString('base64url')
  }

  return { list, find, create, update, rotate, remove }
}

function withChange(settings: SourceSettings, change: SettingsChange): SourceSettings {
  const given = Object.entries(change).filter(([, value]) => value !== undefined)
  return Object.assign({ ...settings }, Object.fromEntries(given))
}

const PRESET: Omit<SourceSettings, 'name'> = {
  platform: null,
  auth: 'signature',
  scheme: null,
  networks: [],
  rate: null,
  account: null,
  defaults: {},
  field_map: {},
  redaction: [],
}
