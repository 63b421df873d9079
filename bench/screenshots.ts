// Pictures of every page of the console, wide and narrow, light and dark, of a real server with believable data:
//   npm run screenshots [folder] [page …]
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import type { Page } from 'playwright-core'

import { buildConsole } from '../bin/build-console.js'
import { openChromium, openPage } from '../test/chromium.ts'
import { discard, startTestServer } from '../test/server.ts'
import { seedConsole } from './console-data.ts'

const [folder = join(import.meta.dirname, '.screenshots'), ...only] = process.argv.slice(2)

const SIZES = { wide: { width: 1440, height: 900 }, narrow: { width: 360, height: 740 } } as const

await buildConsole()
await mkdir(folder, { recursive: true })
const key = 'k'.repeat(40)
const [open, closed, browser] = await Promise.all([
  startTestServer({ TICKETFLOW_TRIAGE: 'on', TICKETFLOW_EMBEDDER: 'none' }),
  startTestServer({ TICKETFLOW_ADMIN_KEY: key }),
  openChromium(),
])
try {
  const ids = await seedConsole(open.url)
  const some = ids.at(-8)
  const pages: Record<string, string> = {
    welcome: `${open.url}/welcome`,
    tickets: `${open.url}/tickets`,
    ticket: `${open.url}/tickets/${some}`,
    search: `${open.url}/tickets?q=invoice`,
    nothing: `${open.url}/tickets?q=nowhere`,
    deliveries: `${open.url}/deliveries`,
    delivery: `${open.url}/deliveries/5`,
    articles: `${open.url}/articles`,
    article: `${open.url}/articles/1`,
    sources: `${open.url}/sources`,
    insights: `${open.url}/insights`,
    settings: `${open.url}/settings`,
    'sign-in': `${closed.url}/sign-in`,
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
  await Promise.all([open, closed].map(discard))
}

async function photograph(page: Page, pages: Record<string, string>, look: string): Promise<void> {
  for (const [name, url] of Object.entries(pages)) {
    if (only.length > 0 && !only.includes(name)) continue
    await page.goto(url)
    await page.locator('h1').first().waitFor({ state: 'attached' })
    await page.getByRole('status').filter({ hasText: 'Loading' }).first().waitFor({ state: 'detached' })
    await page.screenshot({ path: join(folder, `${name}-${look}.png`) })
  }
}
