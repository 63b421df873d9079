// Pictures of every page of the console, wide and narrow, light and dark, of a real server with believable data:
//   npm run screenshots [folder] [page …]
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import { buildConsole } from '../bin/build-console.js'
import { openChromium, openPage } from '../test/chromium.ts'
import { discard, startTestServer } from '../test/server.ts'
import { seedConsole } from './console-data.ts'

const [folder = join(import.meta.dirname, '.screenshots'), ...only] = process.argv.slice(2)

const SIZES = { wide: { width: 1440, height: 900 }, narrow: { width: 360, height: 740 } } as const

await buildConsole()
await mkdir(folder, { recursive: true })
const key = 'k'.repeat(40)
const headers = { authorization: `Bearer ${key}` }
const [open, closed, browser] = await Promise.all([
  startTestServer(),
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
    sources: `${open.url}/sources`,
    insights: `${open.url}/insights`,
    settings: `${open.url}/settings`,
    'sign-in': `${closed.url}/sign-in`,
  }
  await fetch(`${closed.url}/api/tickets`, { headers })
  for (const [size, viewport] of Object.entries(SIZES)) {
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page, complaints } = await openPage(browser, { viewport, colorScheme })
      for (const [name, url] of Object.entries(pages)) {
        if (only.length > 0 && !only.includes(name)) continue
        await page.goto(url)
        await page.locator('h1').first().waitFor({ state: 'attached' })
        await page.getByRole('status').filter({ hasText: 'Loading' }).waitFor({ state: 'detached' })
        await page.screenshot({ path: join(folder, `${name}-${size}-${colorScheme}.png`) })
      }
      if (complaints.length > 0) process.stderr.write(`${size} ${colorScheme}: ${complaints.join('\n')}\n`)
      await page.context().close()
    }
  }
  process.stdout.write(`${folder}\n`)
} finally {
  await browser.close()
  await Promise.all([open, closed].map(discard))
}
