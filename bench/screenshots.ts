// Pictures of every page of the console, wide and narrow, light and dark, of a real server with believable data:
//   npm run screenshots [folder] [page …]
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import type { Page } from 'playwright-core'

import { buildConsole } from '../bin/build-console.js'
import { openChromium, openPage } from '../test/chromium.ts'
import { createClock } from '../test/clock.ts'
import { discard, startTestServer, temporaryDirectory } from '../test/server.ts'
import { seedConsole } from './console-data.ts'

const [folder = join(import.meta.dirname, '.screenshots'), ...only] = process.argv.slice(2)

const SIZES = { wide: { width: 1440, height: 900 }, narrow: { width: 360, height: 740 } } as const

const WEEK_MS = 7 * 24 * 3_600_000
const key = 'k'.repeat(40)
const headers = { 'x-api-key': key, 'x-ticketflow-csrf': '1' }

await buildConsole()
await mkdir(folder, { recursive: true })
const clockFolder = await temporaryDirectory()
const clock = createClock(clockFolder)
await clock.put(-WEEK_MS)
const [empty, busy, browser] = await Promise.all([
  startTestServer(),
  startTestServer({
    TICKETFLOW_ADMIN_KEY: key,
    TICKETFLOW_TRIAGE: 'on',
    TICKETFLOW_EMBEDDER: 'none',
    ...clock.env,
  }),
  openChromium(),
])
try {
  const ids = await seedConsole(busy.url, headers, (share) => clock.put((share - 1) * WEEK_MS))
  const pages: Record<string, string> = {
    welcome: `${empty.url}/welcome`,
    'no-source': `${empty.url}/sources`,
    'sign-in': `${busy.url}/sign-in`,
    tickets: `${busy.url}/tickets`,
    ticket: `${busy.url}/tickets/${ids.at(-8)}`,
    search: `${busy.url}/tickets?q=invoice`,
    nothing: `${busy.url}/tickets?q=nowhere`,
    deliveries: `${busy.url}/deliveries`,
    delivery: `${busy.url}/deliveries/5`,
    refused: `${busy.url}/deliveries?outcome=rejected`,
    articles: `${busy.url}/articles`,
    article: `${busy.url}/articles/1`,
    sources: `${busy.url}/sources`,
    'new-source': `${busy.url}/sources/new`,
    source: `${busy.url}/sources/web-shop`,
    mapping: `${busy.url}/sources/web-shop/mapping?delivery=5`,
    insights: `${busy.url}/insights`,
    settings: `${busy.url}/settings`,
  }
  for (const [size, viewport] of Object.entries(SIZES)) {
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page, complaints } = await openPage(browser, { viewport, colorScheme })
      await photograph(page, pages, `${size}-${colorScheme}`)
      process.stderr.write(complaints.map((complaint) => `${size} ${colorScheme}: ${complaint}\n`).join(''))
      await page.context().close()
    }
  }
  process.stdout.write(`${folder}\n`)
} finally {
  await browser.close()
  await Promise.all([empty, busy].map(discard))
  await rm(clockFolder, { recursive: true, force: true })
}

async function photograph(page: Page, pages: Record<string, string>, look: string): Promise<void> {
  for (const [name, url] of Object.entries(pages)) {
    if (only.length > 0 && !only.includes(name)) continue
    // The door is seen from outside; from there on somebody is signed in.
    if (url.startsWith(busy.url) && name !== 'sign-in') {
      await page.context().request.post(`${busy.url}/api/session`, { data: { key }, headers })
    }
    await page.goto(url)
    await page.locator('h1').first().waitFor({ state: 'attached' })
    await page.getByRole('status').filter({ hasText: 'Loading' }).first().waitFor({ state: 'detached' })
    await page.screenshot({ path: join(folder, `${name}-${look}.png`) })
  }
}
