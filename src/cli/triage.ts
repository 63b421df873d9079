import { readFileSync } from 'node:fs'

import { z } from 'zod'

import { AppError } from '../core/errors.ts'
import { LEAST_PROMISE } from '../triage/calibration.ts'
import { classify, type Example, learn, rowsOf } from '../triage/classifier.ts'
import { type Category, type Descriptions, describe, textsOf } from '../triage/descriptions.ts'
import type { Embedder, EmbedderConfig } from '../triage/embedder.ts'
import { createEmbedder } from '../triage/embedders.ts'
import { type Labelled, labelledFrom, type Report, reportOf, sampleOf, shownNames } from '../triage/evaluation.ts'
import type { Pause } from '../triage/regression.ts'
import { exitWith } from './fault.ts'
import { clearLine, drawLine, percent } from './progress.ts'
import { count, print, printTable } from './table.ts'

type Options = {
  train?: string
  test: string
  perClass?: number
  seed: number
  embedder: string
  embedderModel?: string
  coldStart?: string
  precision: number
  json?: boolean
}

/** What `--cold-start` reads. `labels` are the names in the CSV that mean the category; its own name unless given. */
const Categories = z
  .array(
    z.strictObject({
      name: z.string().min(1),
      description: z.string(),
      keywords: z.array(z.string()).default([]),
      labels: z.array(z.string()).optional(),
    }),
  )
  .min(2)

type Figures = Report & {
  /** What to know of the figures, a sentence each. */
  notes: string[]
  examples: number
  embedder: string
  train_seconds: number
  train_cpu_seconds: number
  embed_ms: number
  ms_per_ticket: number
  cpu_ms_per_ticket: number
  memory_mb: number
}

/** Learns from one file, is tried on another, and prints how well it did. */
export async function evaluate(options: Options): Promise<void> {
  try {
    const found = await figuresOf(options)
    clearLine()
    if (options.json) print(JSON.stringify(found, null, 2))
    else show(found, options)
  } catch (error) {
    clearLine()
    exitWith(error)
  }
}

async function figuresOf(options: Options): Promise<Figures> {
  const { train, test: testFile, perClass, seed, precision } = options
  if (train === undefined && options.coldStart === undefined)
    throw new AppError('malformed', 'Give --train FILE, or --cold-start FILE for descriptions alone')
  const categories = options.coldStart === undefined ? [] : categoriesIn(options.coldStart)
  const byLabel = new Map(categories.flatMap(({ name, labels = [name] }) => labels.map((label) => [label, name])))
  const renamed = (rows: Labelled[]) => rows.map(({ text, label }) => ({ text, label: byLabel.get(label) ?? label }))
  const test = renamed(labelled(testFile))
  const all = train === undefined ? [] : renamed(labelled(train))
  const chosen = perClass === undefined ? all : sampleOf(all, perClass, seed)

  const embedder = await createEmbedder(embedderOf(options.embedder, options.embedderModel))
  const wall = performance.now()
  const descriptions = await described(categories, embedder)
  const vectors = await embedAll(embedder, chosen, 'reading what it learns from')
  const embedMs = performance.now() - wall

  const [started, cpu] = [performance.now(), process.cpuUsage()]
  const model = await learn({
    examples: chosen.map(({ text, label }, at): Example => ({ text, label, vector: vectors?.[at] ?? null })),
    descriptions,
    precision,
    pause: learningBar(chosen.length),
  })
  const trained = { wall: performance.now() - started, cpu: cpuMs(cpu) }

  // As a ticket comes: one at a time, its vector included.
  const [tried, triedCpu] = [performance.now(), process.cpuUsage()]
  const verdicts = []
  for (const { text } of test) {
    const [vector = null] = embedder === null ? [] : await embedder.embed([text], NEVER)
    verdicts.push(classify(model, descriptions, text, vector))
    if (verdicts.length % 20 === 0) drawLine(`trying: ${percent(verdicts.length, test.length)} %`)
  }
  const truth = test.map(({ label }) => label)
  return {
    examples: chosen.length,
    ...reportOf(verdicts, truth, precision),
    notes: notesOf(
      chosen.map(({ label }) => label),
      categories.map(({ name }) => name),
      truth,
    ),
    embedder: embedder?.id ?? 'none',
    train_seconds: trained.wall / 1000,
    train_cpu_seconds: trained.cpu / 1000,
    embed_ms: embedMs,
    ms_per_ticket: (performance.now() - tried) / test.length,
    cpu_ms_per_ticket: cpuMs(triedCpu) / test.length,
    memory_mb: process.resourceUsage().maxRSS / 1024,
  }
}

function notesOf(learned: readonly string[], names: readonly string[], truth: readonly string[]): string[] {
  const known = new Set([...names, ...learned])
  const strange = truth.filter((label) => !known.has(label))
  const shown = shownNames([...new Set(strange)])
  return [
    ...(known.size > 1 ? [] : ['All that it learned from is of one category; there is nothing to tell apart']),
    ...(strange.length === 0
      ? []
      : [`${count(strange.length, 'test')} cannot be right: nothing is known of their category (${shown})`]),
    ...(learned.length >= LEAST_PROMISE ? [] : [whyUnsure(learned.length)]),
  ]
}

/** Why nothing is promised after so many tickets could be held out. */
export const whyUnsure = (trials: number): string =>
  trials < LEAST_PROMISE
    ? `Nothing is promised: that takes ${LEAST_PROMISE} tickets that can be held out while it learns, and there were ${trials}`
    : 'Nothing is promised: on what was held out while it learned it was never as right as that'

/** Draws how far it has learned from so many examples. */
export function learningBar(examples: number): Pause {
  const expected = rowsOf(examples)
  let rows = 0
  return (done) => {
    rows += done
    if (rows % 4096 === 0) drawLine(`learning: ${Math.min(99, percent(rows, expected))} %`)
    return undefined
  }
}

/** `bundled`, `none`, or the address of a server: Ollama's own protocol on its port or under `/api`, else OpenAI's. */
export function embedderOf(name: string, model: string | undefined): EmbedderConfig {
  if (name === 'bundled' || name === 'none') return { kind: name }
  if (!/^https?:\/\//.test(name) || !URL.canParse(name))
    throw new AppError(
      'malformed',
      `--embedder is bundled, none or an address such as http://127.0.0.1:11434, not ${name}`,
    )
  if (model === undefined) throw new AppError('malformed', 'A server needs --embedder-model, such as nomic-embed-text')
  const { port, pathname } = new URL(name)
  return { kind: port === '11434' || pathname.startsWith('/api') ? 'ollama' : 'openai', url: name, model }
}

const NEVER = new AbortController().signal
const EMBED_CHUNK = 64

async function embedAll(
  embedder: Embedder | null,
  rows: readonly Labelled[],
  what: string,
): Promise<Float32Array[] | null> {
  if (embedder === null) return null
  const vectors: Float32Array[] = []
  for (let at = 0; at < rows.length; at += EMBED_CHUNK) {
    drawLine(`${what}: ${percent(at, rows.length)} %`)
    const texts = rows.slice(at, at + EMBED_CHUNK).map(({ text }) => text)
    vectors.push(...(await embedder.embed(texts, NEVER)))
  }
  return vectors
}

async function described(categories: readonly Category[], embedder: Embedder | null): Promise<Descriptions> {
  const texts = categories.flatMap(textsOf)
  return describe(categories, embedder === null || texts.length === 0 ? null : await embedder.embed(texts, NEVER))
}

function categoriesIn(file: string): z.infer<typeof Categories> {
  try {
    return Categories.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch (error) {
    if (!(error instanceof z.ZodError || error instanceof SyntaxError)) throw error
    const why = error instanceof z.ZodError ? z.prettifyError(error) : error.message
    throw new AppError('malformed', `${file} is no list of categories: ${why}`)
  }
}

function labelled(file: string): Labelled[] {
  const text = readFileSync(file, 'utf8')
  try {
    return labelledFrom(text, file)
  } catch (error) {
    throw new AppError('malformed', error instanceof Error ? error.message : String(error))
  }
}

function cpuMs(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

export const share = (value: number): string => `${(value * 100).toFixed(1)} %`

/** How well it did, a row each: figure, value, what it means. */
export function reportRows(found: Report, precision: number): [string, string, string][] {
  return [
    [
      'accuracy',
      share(found.accuracy),
      `${count(found.tickets, 'ticket')}, ${count(found.classes, 'category', 'categories')}`,
    ],
    ['top 3', share(found.top3), 'the right one among the first three'],
    [
      `coverage at ${share(precision)}`,
      share(found.coverage),
      found.precision === null ? 'nothing was sure enough' : `of these ${share(found.precision)} were right`,
    ],
    ['best coverage', share(found.coverage_at_best), 'had the threshold been picked on these very tickets'],
    ['calibration error', share(found.calibration_error), 'how far confidence is from what came true'],
  ]
}

function show(found: Figures, { precision }: Options): void {
  const rows = [
    ...reportRows(found, precision),
    ['per ticket', `${found.ms_per_ticket.toFixed(2)} ms`, `${found.cpu_ms_per_ticket.toFixed(2)} ms CPU`],
    [
      'training',
      `${found.train_seconds.toFixed(1)} s`,
      `${count(found.examples, 'example')}, ${found.train_cpu_seconds.toFixed(1)} s CPU; vectors before it ${(found.embed_ms / 1000).toFixed(1)} s`,
    ],
    ['memory', `${found.memory_mb.toFixed(0)} MB`, `the most that was used; embedder ${found.embedder}`],
  ]
  printTable(
    ['figure', 'value', ''],
    rows.map((cells) => ({ state: 'ok', cells })),
  )
  found.notes.forEach(print)
}
