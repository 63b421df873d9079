import { instant } from '../core/key.ts'
import { newRhythm, observe, Rhythm, unwatched, usualGap } from '../core/silence.ts'
import type { Source } from '../core/source.ts'
import type { RhythmStore, SourceStore } from '../store/store.ts'

const LOOK_MS = 60_000
/** Often enough that a restart right after it is not taken for a time in which nobody watched. */
const SAVE_MS = 240_000
const FRESH_MS = 1000

/** How a source is heard. Times in ms since the epoch, the gap in ms; null where nothing is known. */
export type Hearing = { lastSeen: number | null; usualGap: number | null; silentSince: number | null }

export type Silence = {
  /** Of each source that is there, a second old at most. */
  all: () => Promise<ReadonlyMap<string, Hearing>>
  close: () => Promise<void>
}

/**
 * Looks every minute when each source was heard, and knows which are quieter than they use to be (core/silence.ts). It
 * asks the store, so that several servers on one store agree, and no delivery pays for it.
 */
export async function watchSilence(deps: {
  sources: Pick<SourceStore, 'sources'>
  store: RhythmStore
  onSilent: (source: string, hearing: Hearing) => void
  onHeard: (source: string) => void
  onError: (error: unknown) => void
}): Promise<Silence> {
  const { sources, store, onSilent, onHeard, onError } = deps
  let rhythms = await storedRhythms(store)
  let looked = 0
  let saved = Date.now()
  let running: Promise<void> | null = null

  async function look(): Promise<void> {
    const now = Date.now()
    const before = rhythms
    rhythms = await lookAt(sources, store, before, now)
    for (const [id, rhythm] of rhythms) tell(id, before.get(id)?.silent ?? null, rhythm)
    looked = now
    if (Math.abs(now - saved) < SAVE_MS) return
    saved = now
    await save()
  }

  function tell(id: string, before: number | null, rhythm: Rhythm): void {
    if (before === null && rhythm.silent !== null) onSilent(id, hearingOf(rhythm, rhythm.at))
    if (before !== null && rhythm.silent === null) onHeard(id)
  }

  async function save(): Promise<void> {
    const known = [...rhythms].filter(([, { heard }]) => heard !== null)
    await store.saveRhythms(new Map(known.map(([id, rhythm]) => [id, JSON.stringify(rhythm)])))
  }

  async function lookOnce(): Promise<void> {
    running ??= look()
      .catch(onError)
      .finally(() => (running = null))
    await running
  }

  await lookOnce()
  const timer = setInterval(() => void lookOnce(), LOOK_MS)
  return {
    all: async () => {
      if (Math.abs(Date.now() - looked) > FRESH_MS) await lookOnce()
      return new Map([...rhythms].map(([id, rhythm]) => [id, hearingOf(rhythm, Date.now())]))
    },
    close: async () => {
      clearInterval(timer)
      await running
      await save().catch(onError)
    },
  }
}

/** The same for who does not watch: looks once, and keeps nothing of it. */
export async function hearings(sources: SourceStore, store: RhythmStore, now: number): Promise<Map<string, Hearing>> {
  const looked = await lookAt(sources, store, await storedRhythms(store), now)
  return new Map([...looked].map(([id, rhythm]) => [id, hearingOf(rhythm, now)]))
}

type Rhythms = Map<string, Rhythm>

async function lookAt(
  sources: Pick<SourceStore, 'sources'>,
  store: RhythmStore,
  rhythms: Rhythms,
  now: number,
): Promise<Rhythms> {
  const found = (await sources.sources()).filter(({ deletedAt }) => deletedAt === null)
  const heard = await store.lastHeard(found.map(({ id }) => id))
  return new Map(
    found.map((source) => [source.id, after(source, rhythms.get(source.id), heard.get(source.id) ?? null, now)]),
  )
}

/** What cannot be read (another version wrote it) is learnt anew. */
async function storedRhythms(store: RhythmStore): Promise<Rhythms> {
  const found = [...(await store.rhythms())].flatMap(([id, json]) => {
    const read = Rhythm.safeParse(JSON.parse(json))
    return read.success ? [[id, read.data] as const] : []
  })
  return new Map(found)
}

function after(source: Source, rhythm: Rhythm | undefined, heard: number | null, now: number): Rhythm {
  // A name may have been given to another source: what the one before it sent is not its own.
  const known = rhythm === undefined || (rhythm.first ?? now) < source.createdAt ? newRhythm(now) : rhythm
  const own = heard !== null && heard >= source.createdAt ? heard : null
  return source.disabledAt === null ? observe(known, own, now) : unwatched(known, now)
}

const hearingOf = (rhythm: Rhythm, now: number): Hearing => ({
  lastSeen: rhythm.heard,
  usualGap: usualGap(rhythm, now),
  silentSince: rhythm.silent,
})

/** As it is shown beside its source. */
export const shownHearing = (hearing: Hearing | undefined) => ({
  last_seen: instant(hearing?.lastSeen ?? null),
  usual_gap: hearing === undefined || hearing.usualGap === null ? null : hearing.usualGap / 1000,
  silent_since: instant(hearing?.silentSince ?? null),
})
