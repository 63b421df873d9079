import { newRhythm } from '../src/core/silence.ts'
import { openSqliteRhythms } from '../src/store/sqlite-rhythms.ts'
import { openSqliteSources } from '../src/store/sqlite-sources.ts'

const DAY_MS = 86_400_000

/** A source of two months that is heard every minute, was heard `quiet` ms ago, and was watched until just now. */
export async function rememberSource(dataDir: string, id: string, quiet: number): Promise<void> {
  const now = Date.now()
  const sources = openSqliteSources(dataDir)
  const { name, ...rest } = { name: id, platform: null, scheme: null, networks: [], rate: null, account: null }
  const settings = { name, ...rest, auth: 'key' as const, defaults: {}, field_map: {}, redaction: [] }
  await sources.addSource({ id, settings, secrets: [], createdAt: now - 60 * DAY_MS })
  sources.close()
  const rhythms = openSqliteRhythms(dataDir)
  const blank = newRhythm(now - 60_000)
  const [first, heard] = [now - 50 * DAY_MS, now - quiet]
  const rhythm = { ...blank, first, heard, watched: first, gaps: blank.gaps.map(() => 60) }
  await rhythms.saveRhythms(new Map([[id, JSON.stringify(rhythm)]]))
  rhythms.close()
}
