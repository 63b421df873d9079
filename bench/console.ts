// How large the console is and how quickly it answers, in a real browser at 100,000 tickets: npm run bench:console [tickets]
import { loadavg } from 'node:os'

import type { Page } from 'playwright-core'

import { buildConsole } from '../bin/build-console.js'
import { openChromium, openPage } from '../test/chromium.ts'
import { discard, startTestServer } from '../test/server.ts'
import { CATEGORIES, createRandom, PLATFORMS } from './corpus.ts'
import { machine } from './process.ts'

const TICKETS = Number(process.argv[2] ?? 100_000)
const BATCH = 1000
const ROUNDS = 9
const COLD_ROUNDS = 9
/** So long without a long task, and the page is at rest. */
const QUIET_MS = 500

/** When the first rows were drawn, and when the last task of more than 50 ms ended, by the page's own clock. */
const WATCH = `{
  const seen = (globalThis.seen = { rows: 0, busy: 0 })
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) seen.busy = startTime + duration
  }).observe({ type: 'longtask', buffered: true })
  const look = () => {
    if (document.querySelector('[data-ticket]') === null) requestAnimationFrame(look)
    else requestAnimationFrame(() => (seen.rows = performance.now()))
  }
  requestAnimationFrame(look)
}`
const SEEN = `new Promise((resolve) => {
  const look = () => {
    const { rows, busy } = globalThis.seen
    if (rows === 0 || performance.now() - Math.max(rows, busy) < ${QUIET_MS}) return setTimeout(look, 50)
    resolve({ rows: Math.round(rows), interactive: Math.round(Math.max(rows, busy)) })
  }
  look()
})`

const SCROLL = `new Promise((resolve) => {
  const scroller = document.querySelector('main ul').parentElement
  const frames = []
  let last = performance.now()
  const step = (now) => {
    frames.push(Math.round(now - last))
    last = now
    scroller.scrollTop += 60 * 44
    if (frames.length === 300) resolve(frames.slice(1))
    else requestAnimationFrame(step)
  }
  requestAnimationFrame(step)
})`

const say = (line: string) => process.stdout.write(`${line}\n`)

await buildConsole()
const [server, browser] = await Promise.all([startTestServer({ TICKETFLOW_ADDRESS_RATE: '0' }), openChromium()])
try {
  say(`${machine(false)}; load ${loadavg()[0]?.toFixed(1)}`)
  await fill(`${server.webhook}/batch`)
  // The browser's own first page: what starts with it is not ours.
  const first = await open()
  const afterStart = await load(first)
  await first.context().close()
  // Each with nothing cached and a process of its own, as a tab has: a context is a browser profile.
  const colds: Loaded[] = []
  for (let visit = 0; visit < COLD_ROUNDS; visit += 1) {
    const fresh = await open()
    colds.push(await load(fresh))
    await fresh.context().close()
  }
  const page = await open()
  let bytes = 0
  page.on('requestfinished', (request) => {
    if (request.resourceType() === 'script')
      void request.sizes().then(({ responseBodySize }) => (bytes += responseBodySize))
  })
  await load(page)
  say(
    `first load: ${(bytes / 1000).toFixed(0)} KB of scripts as sent; with nothing cached first rows after ` +
      `${median(colds.map(({ rows }) => rows))} ms, interactive after ${median(colds.map(({ interactive }) => interactive))} ms ` +
      `(medians of ${COLD_ROUNDS}; ${afterStart.interactive} ms right after the browser itself started)`,
  )
  const again = await times(ROUNDS, async () => (await load(page)).interactive)
  say(`again: interactive after ${median(again)} ms (median of ${ROUNDS})`)
  const filter = await times(ROUNDS, (round) => choose(page, CATEGORIES[round % CATEGORIES.length] ?? ''))
  say(`filter by category, ${TICKETS} tickets: ${median(filter)} ms from the choice to the rows (median of ${ROUNDS})`)
  await load(page)
  const frames = await page.evaluate<number[]>(SCROLL)
  say(
    `scrolling 60 rows a frame: frame ${median(frames)} ms, 95th percentile ${at(frames, 0.95)} ms (${frames.length} frames)`,
  )
} finally {
  await browser.close()
  await discard(server)
}

async function fill(url: string): Promise<void> {
  const random = createRandom(1)
  for (let from = 0; from < TICKETS; from += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, TICKETS - from) }, (_, index) => ({
      title: `Ticket ${from + index} of a long queue`,
      description: 'The export hangs for large order lists. '.repeat(4),
      category: random.pick(CATEGORIES),
      platform: random.pick(PLATFORMS),
      priority: random.pick(['low', 'medium', 'high', 'urgent']),
    }))
    const { status } = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(batch),
    })
    if (status !== 200) throw new Error(`the batch was answered with ${status}`)
  }
}

type Loaded = { rows: number; interactive: number }

/** ms from the navigation until the first rows are drawn, and until the page is at rest as well. */
async function load(page: Page): Promise<Loaded> {
  await page.goto(`${server.url}/tickets`)
  return page.evaluate<Loaded>(SEEN)
}

/** A page that watches itself; its storage is its own. */
async function open(): Promise<Page> {
  const { page } = await openPage(browser)
  await page.addInitScript(WATCH)
  return page
}

/** ms from the choice of a category until the rows are those. */
async function choose(page: Page, category: string): Promise<number> {
  return page.evaluate<number>(`new Promise((resolve) => {
    const select = document.querySelector('select[aria-label=Category]')
    const began = performance.now()
    Object.getOwnPropertyDescriptor(HTMLSelectElement.prototype, 'value').set.call(select, '${category}')
    select.dispatchEvent(new Event('change', { bubbles: true }))
    const look = () => {
      const rows = [...document.querySelectorAll('main li')]
      const isThere = rows.length > 0 && rows.every((row) => row.textContent.includes('${category}'))
      if (isThere) resolve(Math.round(performance.now() - began))
      else requestAnimationFrame(look)
    }
    requestAnimationFrame(look)
  })`)
}

async function times(count: number, measure: (round: number) => Promise<number>): Promise<number[]> {
  const measured: number[] = []
  for (let round = 0; round < count; round += 1) measured.push(await measure(round))
  return measured
}

function at(values: number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0
}

function median(values: number[]): number {
  return at(values, 0.5)
}
