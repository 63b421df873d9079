import { rm } from 'node:fs/promises'

import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { bearer } from '../ask.ts'
import { openChromium, openPage } from '../chromium.ts'
import { createClock } from '../clock.ts'
import { untilLive } from '../console.ts'
import { rememberSource } from '../rhythm.ts'
import { discard, post, startTestServer, temporaryDirectory, type TestServer } from '../server.ts'

const PATIENCE = 180_000
const MINUTE = 60_000
const KEY = 'k'.repeat(40)

let folder: string
let server: TestServer
let browser: Browser
/** How far the clocks are ahead, in ms. */
let ahead = 0
beforeAll(async () => {
  folder = await temporaryDirectory()
  const dataDir = await temporaryDirectory()
  await rememberSource(dataDir, 'shop', MINUTE)
  await createClock(folder).put(0)
  const env = { TICKETFLOW_ADMIN_KEY: KEY, TICKETFLOW_DATA_DIR: dataDir, ...createClock(folder).env }
  ;[server, browser] = await Promise.all([startTestServer(env), openChromium()])
}, PATIENCE)
afterAll(async () => {
  await browser?.close()
  await discard(server)
  await rm(folder, { recursive: true, force: true })
}, PATIENCE)

test.each(['/sources', '/sources/shop'])(
  'on %s a source that is quieter than it uses to be is called silent until it is heard',
  { timeout: PATIENCE },
  async (path) => {
    const send = () => post(`${server.webhook}/shop`, { title: `Heard on ${path}`, description: 'd' }, bearer(KEY))
    expect((await send()).status).toBe(200)

    const { page, complaints } = await openPage(browser)
    await page.clock.install({ time: Date.now() + ahead })
    const headers = { 'x-ticketflow-csrf': '1' }
    await page.context().request.post(`${server.url}/api/session`, { data: { key: KEY }, headers })
    await page.goto(server.url + path)
    await untilLive(page)
    await page.getByText('none refused').first().waitFor()
    const badge = page.getByText('silent', { exact: true })
    expect(await badge.count()).toBe(0)

    // The server and the page go ahead together, a look each minute: who looks less often is not watching.
    for (let minute = 1; minute <= 12; minute += 1) {
      ahead += MINUTE
      await createClock(folder).put(ahead)
      const asked = page.waitForResponse((response) => response.url().includes('/api/sources'))
      await page.clock.fastForward(MINUTE)
      await asked
      if (minute === 8) expect(await badge.count()).toBe(0)
    }
    await badge.waitFor()

    expect((await send()).status).toBe(200)
    await badge.waitFor({ state: 'detached' })
    await page.context().close()
    expect(complaints).toEqual([])
  },
)
