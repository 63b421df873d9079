import { setTimeout as sleep } from 'node:timers/promises'

import { createApi, type ServerOptions } from './api.ts'
import { exitWith } from './fault.ts'
import { paint, print, size } from './table.ts'
import { type Figures, figuresBetween, parseMetrics, type Sample, sum } from './top-figures.ts'

type Options = ServerOptions & { every: number; once?: boolean; json?: boolean }

/** Another screen, without a cursor and with long lines cut, and back to what was there before. */
const ENTER = '\u001B[?1049h\u001B[?25l\u001B[?7l'
const LEAVE = '\u001B[?7h\u001B[?25h\u001B[?1049l'
const HOME = '\u001B[H'
const REST_OF_LINE = '\u001B[K'
const REST_OF_SCREEN = '\u001B[J'
/** A terminal that is read key by key hands out Ctrl-C as one, too. */
const END_KEYS = ['q', '\u0003']
/** Where the terminal does not know its own. */
const HEIGHT = 24
const NAME_WIDTH = 12
const SOURCES_SHOWN = 15

/** Shows how a running server is doing, drawn anew until `q`; once where nobody watches. */
export async function top(options: Options): Promise<void> {
  const { every, once = false, json = false } = options
  try {
    const api = createApi(options)
    const sample = async (): Promise<Sample> => {
      const values = parseMetrics(await api.text('/metrics'))
      return { atMs: Date.now(), values }
    }
    const isLive = !once && !json && process.stdout.isTTY
    if (isLive) return await watch({ sample, every, base: api.base })
    const before = await sample()
    await sleep(every * 1000)
    const figures = figuresBetween(before, await sample())
    if (json) print(JSON.stringify({ url: api.base, ...figures }, null, 2))
    else for (const line of view(figures, api.base)) print(line)
  } catch (error) {
    exitWith(error)
  }
}

async function watch(deps: { sample: () => Promise<Sample>; every: number; base: string }): Promise<void> {
  const { sample, every, base } = deps
  const ended = new AbortController()
  const end = () => ended.abort()
  // The first sample before the screen changes: a server that is not there is told on the screen of who asked.
  let before = await sample()
  process.stdout.write(ENTER)
  process.on('SIGINT', end).on('SIGTERM', end)
  process.stdin.setRawMode?.(true)
  process.stdin.on('data', (keys: Buffer) => END_KEYS.some((key) => keys.includes(key)) && end())
  try {
    draw([`${base}: counting…`])
    while (!ended.signal.aborted) {
      await sleep(every * 1000, undefined, { signal: ended.signal }).catch(() => {})
      if (ended.signal.aborted) break
      const after = await sample()
      draw([...view(figuresBetween(before, after), base), '', paint('dim', 'q ends')])
      before = after
    }
  } finally {
    process.stdin.setRawMode?.(false)
    process.stdin.pause()
    process.stdout.write(LEAVE)
  }
}

/** Over what is there, line by line, so that nothing flickers. */
function draw(lines: string[]): void {
  const shown = lines.slice(0, (process.stdout.rows || HEIGHT) - 1)
  process.stdout.write(HOME + shown.map((line) => `${line}${REST_OF_LINE}\n`).join('') + REST_OF_SCREEN)
}

/** A screen of it. */
function view(figures: Figures, base: string): string[] {
  const { answer, commits, outcomes, sources, storeBytes, jobs } = figures
  const store = Object.entries(storeBytes).map(([file, bytes]) => `${file} ${size(bytes)}`)
  const busiest = Object.entries(sources)
    .map(([name, of]) => ({ name, of, all: sum(Object.values(of)) }))
    .filter(({ all }) => all > 0)
    .toSorted((a, b) => b.all - a.all)
  return [
    `${paint('bold', base)}  up ${duration(figures.upSeconds)}`,
    '',
    row('deliveries', [`${number(figures.deliveries)}/s`, ...spoken(outcomes)]),
    row('answers', [`p50 ${ms(answer.p50Ms)}`, `p99 ${ms(answer.p99Ms)}`]),
    row('commits', [`${number(commits.rate)}/s`, `${number(commits.together)} together`, `p99 ${ms(commits.p99Ms)}`]),
    row('waiting', [number(figures.queued), `refused unread ${number(figures.shed)}/s`]),
    row('jobs', [
      `${number(jobs.rate)}/s`,
      ...Object.entries(jobs.states).map(([state, jobsIn]) => `${state} ${number(jobsIn)}`),
      `oldest ${duration(jobs.oldestS)}`,
    ]),
    row('process', [
      `CPU ${number(figures.cpuPercent)} %`,
      `memory ${size(figures.memoryBytes)}`,
      `event loop p99 ${ms(figures.loopP99Ms)}`,
    ]),
    row('store', [`${number(figures.tickets)} tickets`, ...store]),
    '',
    ...busiest.slice(0, SOURCES_SHOWN).map(({ name, of, all }) => row(name, [`${number(all)}/s`, ...spoken(of)])),
  ]
}

const row = (name: string, cells: string[]) =>
  `${paint('dim', name.padEnd(NAME_WIDTH))}  ${cells
    .map((cell) => cell.padEnd(NAME_WIDTH))
    .join('  ')
    .trimEnd()}`

/** The outcomes that there were, the most frequent first. */
const spoken = (outcomes: Record<string, number>) =>
  Object.entries(outcomes)
    .filter(([, rate]) => rate > 0)
    .toSorted(([, a], [, b]) => b - a)
    .map(([outcome, rate]) => `${outcome} ${number(rate)}`)

const number = (value: number) =>
  Number.isFinite(value) ? value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 1 : 0 }) : '–'

const ms = (value: number) => (Number.isFinite(value) ? `${number(value)} ms` : '–')

function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–'
  const minutes = Math.floor(seconds / 60)
  if (minutes < 1) return `${Math.round(seconds)} s`
  if (minutes < 60) return `${minutes} min`
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${Math.floor(minutes / 1440)} days`
}
