import { readdir } from 'node:fs/promises'

import type { Incoming, Platform } from '../core/platform.ts'

const FOLDER = new URL('../platforms/', import.meta.url)
const LAST_RESORT = 'flat'

/** Every file of `src/platforms` is a platform; the flat form, which takes anything, is asked last. */
export async function loadPlatforms(): Promise<Platform[]> {
  const names = (await readdir(FOLDER)).filter((name) => /^[a-z0-9-]+\.[jt]s$/.test(name))
  const platforms = await Promise.all(names.toSorted().map(load))
  return [...platforms.filter(({ id }) => id !== LAST_RESORT), ...platforms.filter(({ id }) => id === LAST_RESORT)]
}

async function load(name: string): Promise<Platform> {
  const file: { default: Platform } = await import(new URL(name, FOLDER).href)
  return file.default
}

export function platformOf(platforms: readonly Platform[], incoming: Incoming): Platform {
  const platform = platforms.find((candidate) => candidate.recognises(incoming))
  if (platform === undefined) throw new Error('no platform took the body; the flat form takes any')
  return platform
}
