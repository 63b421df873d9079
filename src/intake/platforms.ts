import { readdir } from 'node:fs/promises'

import { fail } from '../core/errors.ts'
import { isObject } from '../core/json.ts'
import { type Incoming, nameOf, type Platform } from '../core/platform.ts'
import { type Headers, headerText } from '../core/signature.ts'
import { queryOf, type RawRequest } from './request.ts'

const FOLDER = new URL('../platforms/', import.meta.url)
const LAST_RESORT = 'flat'

export type Platforms = ReturnType<typeof createPlatforms>

/** Every file of `src/platforms` is a platform. */
export async function loadPlatforms(): Promise<Platforms> {
  const names = (await readdir(FOLDER)).filter((name) => /^[a-z0-9-]+\.[jt]s$/.test(name))
  return createPlatforms(await Promise.all(names.toSorted().map(load)))
}

async function load(name: string): Promise<Platform> {
  const file: { default: Platform } = await import(new URL(name, FOLDER).href)
  return file.default
}

function createPlatforms(found: readonly Platform[]) {
  // The flat form takes anything, and so is asked last.
  const all = [...found.filter(({ id }) => id !== LAST_RESORT), ...found.filter(({ id }) => id === LAST_RESORT)]
  const certain = all.filter(({ isCertain }) => isCertain !== undefined)
  const byHeader = new Map(all.flatMap((platform) => platform.headers?.map((name) => [name, platform] as const) ?? []))
  const byName = new Map(
    all.flatMap((platform) => [platform.id, ...(platform.aliases ?? [])].map((name) => [name, platform] as const)),
  )

  function fromHeaders(headers: Headers): Platform | undefined {
    for (const name in headers) {
      const platform = byHeader.get(name)
      if (platform !== undefined) return platform
    }
    return undefined
  }

  /** Whose body this is: what a header says before what the body looks like, and the first that knows it. */
  function of(headers: Headers, body: unknown): Platform {
    const sample = Array.isArray(body) ? body[0] : body
    const payload = isObject(sample) ? sample : {}
    const platform =
      fromHeaders(headers) ??
      certain.find((candidate) => candidate.isCertain?.(payload)) ??
      all.find((candidate) => candidate.recognises(payload, headers))
    if (platform === undefined) throw new Error('no platform took the body; the flat form takes any')
    return platform
  }

  /** The platform of this id or name (`jira`, `zoho-desk`, `email`), as whose body this is to be read. */
  function named(name: string, headers: Headers, body: unknown): Platform {
    const sample = Array.isArray(body) ? body[0] : body
    const id = name.trim().toLowerCase().replaceAll('-', '_')
    const known = byName.get(id)
    if (known !== undefined) return known
    const namesakes = all.filter((platform) => platform.name === id)
    const payload = isObject(sample) ? sample : {}
    return (
      namesakes.find((platform) => platform.recognises(payload, headers)) ??
      namesakes[0] ??
      fail('malformed', `There is no platform ${name.slice(0, 40)}; GET /api/platforms lists them`)
    )
  }

  /** Whose a body is that could not be read, as far as its headers tell; for the record only. */
  function guess(headers: Headers): string | null {
    const agent = headerText(headers, 'user-agent') ?? ''
    const isAgent = ({ userAgent }: Platform) => userAgent !== undefined && agent.startsWith(userAgent)
    const platform = fromHeaders(headers) ?? all.find(isAgent)
    return platform === undefined ? null : nameOf(platform)
  }

  const scaleOf = (name: string) => byName.get(name)?.priorities

  return { all, of, named, guess, scaleOf }
}

/** How many tickets a batch, and how many events one body, may hold. */
export const BATCH_LIMIT = 1000

/**
 * The platform that the request names in `?platform=`, else the preset of its source where the body is in its format,
 * else the one that the body is recognised as.
 */
export function platformOf(
  platforms: Platforms,
  request: RawRequest,
  body: unknown,
  preset: Platform | null = null,
): Platform {
  const name = queryOf(request, 'platform')
  if (name !== null) return platforms.named(name, request.headers, body)
  const sample = Array.isArray(body) ? body[0] : body
  if (preset?.recognises(isObject(sample) ? sample : {}, request.headers)) return preset
  return platforms.of(request.headers, body)
}

/** Whose body it is, and the events in it: some senders tell several at once. */
export function eventsIn(
  platforms: Platforms,
  request: RawRequest,
  body: unknown,
  preset: Platform | null = null,
): { platform: Platform; events: unknown[] } {
  const platform = platformOf(platforms, request, body, preset)
  const events = platform.events?.(body) ?? [body]
  if (events.length > BATCH_LIMIT) fail('malformed', `A body has at most ${BATCH_LIMIT} events, not ${events.length}`)
  if (events.length === 1 && !isObject(events[0])) fail('malformed', 'Body must be one ticket as a JSON object')
  return { platform, events }
}

export function incomingOf(platforms: Platforms, request: RawRequest, event: unknown): Incoming {
  if (!isObject(event)) return fail('malformed', 'Item must be one ticket as a JSON object')
  return { headers: request.headers, payload: event, scaleOf: platforms.scaleOf }
}
