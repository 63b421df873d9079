import { readConfig } from '../config.ts'
import { TRIAGE_SETTING, type TriageField, type TriageSettings, triageSettingsIn } from '../core/decision.ts'
import { openHistory } from '../store/open.ts'
import type { History as Store } from '../store/store.ts'
import { type Backtest, backtest, type History, splitFor } from '../triage/backtest.ts'
import { CATEGORIES } from '../triage/categories.ts'
import { ticketText } from '../triage/desk.ts'
import { type Embedder, unit } from '../triage/embedder.ts'
import { createEmbedder } from '../triage/embedders.ts'
import { exitWith } from './fault.ts'
import { clearLine, drawLine, percent } from './progress.ts'
import { count, print, printTable, type Row } from './table.ts'
import { embedderOf, learningBar, reportRows, share, whyUnsure } from './triage.ts'

type Options = {
  /** ms since the epoch */
  since?: number
  last: number
  field: TriageField
  embedder?: string
  embedderModel?: string
  precision?: number
  json?: boolean
}

type Figures = Backtest & { field: TriageField; split: number; embedder: string; promised: number }

/** As many as the engine learns from, and what is to be tried. */
const HISTORY = 25_000
/** How many ticket numbers are looked through at a time, and at most: as learning does. */
const WINDOW = 1000
const LOOK_BACK = 200_000

/** Learns from the older part of the store's history, is tried on the newer, and prints how well it did. */
export async function tryOnHistory(options: Options): Promise<void> {
  try {
    const found = await figuresOf(options)
    clearLine()
    if (options.json) print(JSON.stringify(jsonOf(found), null, 2))
    else show(found)
  } catch (error) {
    clearLine()
    exitWith(error)
  }
}

async function figuresOf(options: Options): Promise<Figures> {
  const { since, last, field, embedder: name, embedderModel } = options
  const config = readConfig()
  const embedder = await createEmbedder(name === undefined ? config.embedder : embedderOf(name, embedderModel))
  const store = await openHistory(config)
  let history: History[]
  let settings: TriageSettings
  try {
    settings = triageSettingsIn(await store.setting(TRIAGE_SETTING))
    history = await historyOf(store, field, embedder)
  } finally {
    await store.close()
  }
  const { precision = settings.precision } = options
  const split = since ?? splitFor(history, last)
  const found = await backtest({
    history,
    split,
    field,
    embedder,
    categories: settings.categories ?? CATEGORIES,
    precision,
    pause: learningBar(history.filter(({ saidAt }) => saidAt < split).length),
    onTried: (tried, of) => {
      if (tried % 20 === 0) drawLine(`trying: ${percent(tried, of)} %`)
    },
  })
  return { field, split, embedder: embedder?.id ?? 'none', promised: precision, ...found }
}

/** Of the newest tickets of which somebody said the field. */
async function historyOf(store: Store, field: TriageField, embedder: Embedder | null): Promise<History[]> {
  const history: History[] = []
  const newest = await store.newestTicket()
  const oldest = Math.max(1, newest - LOOK_BACK + 1)
  for (let last = newest; last >= oldest && history.length < HISTORY; last -= WINDOW) {
    drawLine(`reading the history: ${percent(newest - last, newest - oldest + 1)} %`)
    const first = Math.max(oldest, last - WINDOW + 1)
    const [examples, vectors] = await Promise.all([
      store.examples(field, first, last),
      embedder === null ? [] : store.vectors(embedder.id, last + 1, last - first + 1),
    ])
    const vectorOf = new Map(vectors.map(({ ticketId, vector }) => [ticketId, unit(vector)]))
    for (const example of examples) {
      const { ticketId, value, saidAt } = example
      history.push({ text: ticketText(example), value, saidAt, vector: vectorOf.get(ticketId) ?? null })
    }
  }
  return history
}

const jsonOf = ({ split, values, weeks, ...found }: Figures) => ({
  ...found,
  split: new Date(split).toISOString(),
  by_value: values.map(({ value, tickets, guessed, right }) => ({
    value,
    tickets,
    precision: guessed === 0 ? null : right / guessed,
    recall: tickets === 0 ? null : right / tickets,
  })),
  by_week: weeks.map(({ sureRight, ...week }) => ({ ...week, sure_right: sureRight })),
})

function show(found: Figures): void {
  const { field, split, embedder, promised, learned, trials, values, weeks, problem } = found
  const at = new Date(split).toISOString().slice(0, 16).replace('T', ' ')
  print(
    `Learned from ${count(learned, 'ticket')} whose ${field} was said before ${at} UTC, tried on ` +
      `${count(found.tickets, 'ticket')} of later; embedder ${embedder}`,
  )
  printTable(['figure', 'value', ''], reportRows(found, promised).map(ok))
  print('')
  printTable(
    [field, 'tickets', 'precision', 'recall'],
    values.map(({ value, tickets, guessed, right }) =>
      ok([value, String(tickets), ratio(right, guessed), ratio(right, tickets)]),
    ),
  )
  print('')
  printTable(
    ['week of', 'tickets', 'would have been set', 'of these right', 'left to people'],
    weeks.map(({ week, tickets, sure, sureRight }) =>
      ok([week, String(tickets), String(sure), String(sureRight), String(tickets - sure)]),
    ),
  )
  if (found.precision === null) print(whyUnsure(trials))
  if (problem !== null) print(problem)
}

const ok = (cells: string[]): Row => ({ state: 'ok', cells })
const ratio = (part: number, whole: number): string => (whole === 0 ? '–' : share(part / whole))
