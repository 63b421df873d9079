import { readFileSync } from 'node:fs'

import { readConfig } from '../config.ts'
import { fail } from '../core/errors.ts'
import { type SettingsChange, shownSource, type Source, SourceId, SourceSettings } from '../core/source.ts'
import { createAdminKey } from '../intake/keys.ts'
import { loadPlatforms } from '../intake/platforms.ts'
import { createRegistry, type Made, type Registry } from '../intake/registry.ts'
import { openVault } from '../intake/vault.ts'
import { openAccess } from '../store/open.ts'
import type { KeyStore } from '../store/key-store.ts'
import { type Hearing, hearings, shownHearing } from '../work/silence.ts'
import { jsonOf } from './check-call.ts'
import { exitWith } from './fault.ts'
import { count, paint, print, printTable } from './table.ts'

type Json = { json?: boolean }

/** As the command line gives them; what is a list or an object comes from a JSON file. */
export type SettingOptions = Json & {
  name?: string
  platform?: string
  auth?: string
  scheme?: string
  network?: string[]
  rate?: number
  account?: string
  category?: string
  priority?: string
  map?: string
  redaction?: string
}

const HOUR_MS = 3_600_000

/** Registers a sender and prints where it sends and its secret, this once. A running server knows it within a second. */
export const create = (id: string, { secret, json, ...options }: SettingOptions & { secret?: string }) =>
  withRegistry(async (registry, keyStore) => {
    const now = Date.now()
    const isFirst = (await registry.list()).length === 0 && (await keyStore.keys()).length === 0
    const named = SourceId.safeParse(id)
    if (!named.success) fail('malformed', `The id ${named.error.issues[0]?.message}`)
    const made = await registry.create(id, settingsOf(options), secretOf(secret), now)
    const admin = isFirst && readConfig().adminKey === null ? await createAdminKey(keyStore, 'first source', now) : null
    if (json) {
      return printJson({ ...shownSource(made.source), secret: made.secret, ...(admin && { admin_key: admin.secret }) })
    }
    print(`Source ${paint('bold', id)} sends to ${shownSource(made.source).url}`)
    showSecret(made)
    if (admin === null) return
    print('It is the first: from now on every request needs a source or a key. An admin key, shown this once:')
    print(`\n    ${admin.secret}\n`)
  })

export const list = ({ json }: Json) =>
  withRegistry(async (registry, _keys, heard) => {
    const sources = await registry.list()
    const hearingsOf = await heard()
    if (json) {
      const shown = sources.map((source) => Object.assign(shownSource(source), shownHearing(hearingsOf.get(source.id))))
      return printJson({ sources: shown })
    }
    if (sources.length === 0) return print('There is no source. Make one: ticketflow sources create <id>')
    printTable(
      ['source', 'platform', 'shows', 'networks', 'rate', 'last seen', 'state'],
      sources.map((source) => {
        const { lastSeen, silentSince } = hearingsOf.get(source.id) ?? { lastSeen: null, silentSince: null }
        const isWell = source.disabledAt === null && silentSince === null
        const seen = lastSeen === null ? 'never' : agoOf(Date.now() - lastSeen)
        return {
          state: isWell ? 'ok' : 'warn',
          cells: [source.id, ...cellsOf(source), seen, stateOf(source, silentSince)],
        }
      }),
    )
    print(count(sources.length, 'source'))
  })

export const show = (id: string, { json }: Json) =>
  withRegistry(async (registry) => {
    const shown = shownSource(await registry.find(id))
    if (json) return printJson(shown)
    for (const [name, value] of Object.entries(shown)) {
      print(`${name.padEnd(14)}${typeof value === 'string' ? value : JSON.stringify(value)}`)
    }
  })

export const update = (id: string, { json, ...options }: SettingOptions) =>
  withRegistry(async (registry) => {
    const change = settingsOf(options)
    if (Object.keys(change).length === 0) fail('malformed', 'Nothing to change; --help lists what can be set')
    const source = await registry.update(id, change, Date.now())
    if (json) return printJson(shownSource(source))
    print(`Source ${id} is set: ${Object.keys(change).join(', ')}.`)
  })

export const setDisabled = (id: string, disabled: boolean, { json }: Json) =>
  withRegistry(async (registry) => {
    const source = await registry.update(id, { disabled }, Date.now())
    if (json) return printJson(shownSource(source))
    print(disabled ? `Source ${id} takes nothing any more.` : `Source ${id} takes deliveries again.`)
  })

export const rotate = (id: string, { secret, overlap, json }: Json & { secret?: string; overlap: number }) =>
  withRegistry(async (registry) => {
    const made = await registry.rotate(id, secretOf(secret), overlap * HOUR_MS, Date.now())
    if (json) return printJson({ ...shownSource(made.source), secret: made.secret })
    print(`Source ${paint('bold', id)} has a new secret; the old ones count for ${count(overlap, 'hour')} more.`)
    showSecret(made)
  })

export const remove = (id: string, { json }: Json) =>
  withRegistry(async (registry) => {
    await registry.remove(id, Date.now())
    if (json) return printJson({ ok: true, id })
    print(`Source ${id} is deleted; its deliveries and tickets stay.`)
  })

function showSecret({ source, secret }: Made): void {
  if (source.settings.auth !== 'signature') return
  if (secret === null) return print('It is verified by the secret that you gave.')
  print('Its secret, shown this once; set it at the sender, or rotate to the one that the sender shows you:')
  print(`\n    ${secret}\n`)
}

function stateOf({ disabledAt }: Source, silentSince: number | null): string {
  if (disabledAt !== null) return 'disabled'
  return silentSince === null ? 'takes deliveries' : `silent, noticed ${agoOf(Date.now() - silentSince)}`
}

const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
] as const

function agoOf(ms: number): string {
  const [unit, size] = UNITS.find(([, one]) => ms >= one) ?? ['second', 1000]
  return `${count(Math.max(0, Math.floor(ms / size)), unit)} ago`
}

const cellsOf = ({ settings }: Source): string[] => [
  settings.platform ?? 'recognised',
  settings.auth === 'signature' ? (settings.scheme ?? 'signature') : settings.auth,
  settings.networks.join(' ') || 'any',
  settings.rate === null ? '' : `${settings.rate}/min`,
]

/** A secret on the command line is seen by everybody on the machine: `-` reads it from standard input. */
function secretOf(secret: string | undefined): string | null {
  if (secret === undefined) return null
  return secret === '-' ? readFileSync(0, 'utf8').trim() : secret
}

/** What was given, in the words of the settings. Throws AppError `malformed` with what is wrong. */
function settingsOf(options: SettingOptions): SettingsChange {
  const { name, platform, auth, scheme, network, rate, account, category, priority, map, redaction } = options
  const given = {
    ...(name !== undefined && { name }),
    ...(platform !== undefined && { platform: platform === 'any' ? null : platform }),
    ...(auth !== undefined && { auth }),
    ...(scheme !== undefined && { scheme }),
    ...(network !== undefined && { networks: network.filter((one) => one !== 'any') }),
    ...(rate !== undefined && { rate: rate === 0 ? null : rate }),
    ...(account !== undefined && { account }),
    ...((category !== undefined || priority !== undefined) && { defaults: { category, priority } }),
    ...(map !== undefined && { field_map: jsonFile(map) }),
    ...(redaction !== undefined && { redaction: jsonFile(redaction) }),
  }
  const parsed = SourceSettings.partial().safeParse(given)
  if (parsed.success) return parsed.data
  return fail('malformed', parsed.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`).join('; '))
}

export function jsonFile(path: string): unknown {
  const read = jsonOf(readFileSync(path === '-' ? 0 : path, 'utf8'))
  return read === undefined ? fail('malformed', `${path} is not valid JSON`) : read
}

const printJson = (value: unknown) => print(JSON.stringify(value, null, 2))

async function withRegistry(
  work: (registry: Registry, keys: KeyStore, heard: () => Promise<Map<string, Hearing>>) => Promise<void>,
): Promise<void> {
  try {
    const config = readConfig()
    const { keyStore, sourceStore, rhythmStore, close } = await openAccess(config)
    try {
      const vault = openVault(config.dataDir, config.secretKey)
      const registry = createRegistry({ store: sourceStore, platforms: await loadPlatforms(), vault })
      // The newest delivery as it is now, all else as the server saw it a few minutes ago.
      await work(registry, keyStore, () => hearings(sourceStore, rhythmStore, Date.now()))
    } finally {
      await close()
    }
  } catch (error) {
    exitWith(error)
  }
}
