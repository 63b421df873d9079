import { existsSync } from 'node:fs'

import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

const SYSTEM = '/usr/bin/chromium'

const ARGS = [
  '--no-sandbox',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Where a browser is: CHROMIUM_PATH, the system's, what Playwright has fetched, or the one that npm brings. */
async function executable(): Promise<{ path: string; args: string[] }> {
  const asked = process.env['CHROMIUM_PATH']
  if (asked !== undefined && asked !== '' && asked !== 'npm') return { path: asked, args: ARGS }
  const found = [SYSTEM, chromium.executablePath()].find((path) => asked !== 'npm' && existsSync(path))
  if (found !== undefined) return { path: found, args: ARGS }
  const { default: bundled } = await import('@sparticuz/chromium')
  return { path: await bundled.executablePath(), args: ARGS }
}

/** A real Chromium without a window. There is always one: no test of the console is ever passed over. */
export async function openChromium(): Promise<Browser> {
  const { path, args } = await executable()
  return chromium.launch({ executablePath: path, args, timeout: 60_000 })
}

/** Fails a test by what its page complained of; a refused request is for the test to judge. */
export type Watched = { page: Page; complaints: string[] }

/** A page with a storage of its own, in which everything may take as long as a loaded machine needs. */
export async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Watched> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    reducedMotion: 'reduce',
    ...options,
  })
  context.setDefaultTimeout(60_000)
  context.setDefaultNavigationTimeout(60_000)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => {
    const isOfNetwork = message.text().startsWith('Failed to load resource')
    if (message.type() === 'error' && !isOfNetwork) complaints.push(message.text())
  })
  return { page, complaints }
}
