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
  say(`${machine()}; load ${loadavg()[0]?.toFixed(1)}`)
  await fill(`${server.webhook}/batch`)
  // The browser's own first page: what starts with it is not ours.
  const first = await openPage(browser)
  const afterStart = await load(first.page)
  await first.page.context().close()
  // Each with nothing cached: a context is a browser profile of its own.
  const colds: number[] = []
  for (let visit = 0; visit < 5; visit += 1) {
    const fresh = await openPage(browser)
    colds.push(await load(fresh.page))
    await fresh.page.context().close()
  }
  const { page } = await openPage(browser)
  let bytes = 0
  page.on('requestfinished', (request) => {
    if (request.resourceType() === 'script')
      void request.sizes().then(({ responseBodySize }) => (bytes += responseBodySize))
  })
  await load(page)
  say(
    `first load: ${(bytes / 1000).toFixed(0)} KB of scripts as sent; first rows with nothing cached after ` +
      `${median(colds)} ms (median of 5; ${afterStart} ms right after the browser itself started)`,
  )
  say(`again: first rows after ${median(await times(ROUNDS, () => load(page)))} ms (median of ${ROUNDS})`)
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

/** ms from the navigation to the first rows, by the page's own clock. */
async function load(page: Page): Promise<number> {
  await page.goto(`${server.url}/tickets`)
  await page.locator('[data-ticket]').first().waitFor()
  return page.evaluate<number>(`Math.round(performance.now())`)
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
