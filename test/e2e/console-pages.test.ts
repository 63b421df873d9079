import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'

import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import { ask, bearer } from '../ask.ts'
import { violationsOf } from '../axe.ts'
import { openChromium, openPage, type Watched } from '../chromium.ts'
import { untilLive } from '../console.ts'
import { discard, post, ROOT, startTestServer, type TestServer } from '../server.ts'

const PATIENCE = 180_000
const KEY = 'k'.repeat(40)
const SECRET = 'zendesk-secret'
const FIXTURE = `${ROOT}/test/fixtures/platforms/zendesk-ticket-created-event.json`

/** On a loaded machine a test is to wait, not to be refused. */
const PATIENT = { TICKETFLOW_MAX_LOOP_DELAY_MS: '0' }
let server: TestServer
let browser: Browser
const watched: Watched[] = []

/** A page of somebody who is signed in. */
async function visit(path: string, options: Parameters<typeof openPage>[1] = {}): Promise<Page> {
  const one = await openPage(browser, options)
  watched.push(one)
  const { page } = one
  const headers = { 'x-ticketflow-csrf': '1' }
  await page.context().request.post(`${server.url}/api/session`, { data: { key: KEY }, headers })
  await page.goto(server.url + path)
  return page
}

const admin = (path: string, body?: unknown) =>
  ask(`${server.url}/api${path}`, { headers: bearer(KEY), ...(body === undefined ? {} : { method: 'POST', body }) })

/** A delivery as Zendesk sends it, about a ticket of its own. */
function zendesk(serial: number, secret = SECRET) {
  const { headers, raw_body: fixture } = JSON.parse(readFileSync(FIXTURE, 'utf8'))
  const body = fixture.replaceAll('48213', String(serial)).replace('6f1c0e52', `6f1c${serial}`)
  const time = new Date().toISOString()
  const signature = createHmac('sha256', secret)
    .update(time + body)
    .digest('base64')
  const own = {
    'x-zendesk-webhook-signature-timestamp': time,
    'x-zendesk-webhook-signature': signature,
    'x-zendesk-webhook-invocation-id': `inv-${serial}`,
  }
  const sent = Object.entries<string>(headers).map(([name, value]) => [name.toLowerCase(), value])
  return post(`${server.webhook}/zendesk-eu`, body, { ...Object.fromEntries(sent), ...own })
}

const form = (body: unknown) => post(`${server.webhook}/acme-forms`, body, bearer(KEY))
const row = (page: Page, outcome: string) => page.locator(`[data-delivery][data-outcome=${outcome}]`)

/** Each page, and what is seen once it is there. */
const pagesWith = (id: number): Record<string, string> => ({
  '/deliveries': '[data-delivery]',
  [`/deliveries/${id}`]: '[data-pointer]',
  '/sources': 'a[href="/sources/zendesk-eu"]',
  '/sources/new': 'input[type=radio]',
  '/sources/zendesk-eu': 'text=Where it sends',
  '/sources/zendesk-eu/mapping': 'text=CSV export hangs',
  '/insights': '.u-legend',
  '/settings': 'text=TICKETFLOW_RETENTION_DAYS',
  '/sources/none': 'text=There is no source none',
})

beforeAll(async () => {
  ;[server, browser] = await Promise.all([startTestServer({ ...PATIENT, TICKETFLOW_ADMIN_KEY: KEY }), openChromium()])
  await admin('/sources', { id: 'zendesk-eu', name: 'Zendesk Europe', platform: 'zendesk', secret: SECRET })
  await admin('/sources', { id: 'acme-forms', name: 'Acme forms', platform: 'flat', auth: 'key' })
}, PATIENCE)
afterAll(async () => {
  await browser?.close()
  await discard(server)
}, PATIENCE)
afterEach(async () => {
  const pages = watched.splice(0)
  const complaints = pages.flatMap((one) => one.complaints)
  await Promise.all(pages.map(({ page }) => page.context().close()))
  expect(complaints).toEqual([])
}, PATIENCE)

describe('deliveries', { timeout: PATIENCE }, () => {
  test('a signed Zendesk delivery appears live, and shows where each field of its ticket comes from', async () => {
    const page = await visit('/deliveries')
    await untilLive(page)
    await page.getByText('Nothing was delivered yet').waitFor()
    expect((await zendesk(50_001)).status).toBe(200)
    await row(page, 'created').click()
    await page.getByText('Its signature matches a secret of this source').waitFor()
    const origin = page.getByRole('button', { name: 'from /detail/subject' })
    await origin.focus()
    await page.locator('[data-pointer="/detail/subject"][data-lit]').getByText('title', { exact: true }).waitFor()
    await page.getByRole('tab', { name: 'Headers' }).click()
    await page.getByText('x-zendesk-webhook-id').waitFor()
    await page.getByRole('tab', { name: 'Raw body' }).click()
    await page.getByText(/^\{"type":"zen:event-type:ticket.created"/).waitFor()
  })

  test('one with a wrong signature says so, and is replayed only by somebody who vouches for it', async () => {
    expect((await zendesk(50_002, 'wrong')).status).toBe(401)
    const page = await visit('/deliveries?outcome=rejected&source=zendesk-eu')
    await row(page, 'rejected').first().click()
    await page.locator('[data-verdict=bad]').getByText('Not verified').waitFor()
    await page.getByRole('button', { name: 'Replay', exact: true }).click()
    await page.getByRole('button', { name: 'It is genuine, replay it' }).click()
    await page.getByText('Played again; it came as delivery').waitFor()
    await page
      .getByRole('link', { name: /^Ticket \d+$/ })
      .first()
      .waitFor()
  })

  test('a refused one is inspected, its mapping mended, and replayed: its ticket appears', async () => {
    const page = await visit('/deliveries?source=acme-forms')
    await untilLive(page)
    expect((await form({ issue: { name: 'Lamp is dark', text: 'Since nine' } })).status).toBe(400)
    await row(page, 'rejected').click()
    await page.locator('[data-verdict=bad]').getByText('Title or subject is required').waitFor()
    const refused = page.url()
    await page.getByRole('link', { name: 'Mend the mapping' }).click()
    // The value itself fills the field; the other one is written.
    await page.getByLabel('title', { exact: true }).focus()
    await page.getByRole('button', { name: /Lamp is dark/ }).click()
    expect(await page.getByLabel('title', { exact: true }).inputValue()).toBe('issue.name')
    await page.getByLabel('description', { exact: true }).fill('issue.(')
    await page
      .getByText(/Field map: description/)
      .first()
      .waitFor()
    await page.getByRole('button', { name: /Lamp is dark/ }).waitFor()
    await page.getByLabel('description', { exact: true }).fill('issue.text & "."')
    await page.getByRole('region', { name: 'Ticket' }).getByText('Since nine.').waitFor()
    await page.getByRole('button', { name: 'Compare and save…' }).click()
    await page.getByText('1 refused delivery', { exact: true }).waitFor()
    await page.getByRole('button', { name: 'Save for what comes' }).click()
    await page.getByRole('button', { name: 'Show it' }).click()
    await page.waitForURL(/\/deliveries\?/)
    expect(new URL(page.url()).search).toBe('?outcome=rejected&source=acme-forms')
    await page.goto(refused)
    await page.getByRole('button', { name: 'Replay', exact: true }).click()
    await page
      .getByRole('link', { name: /^Ticket \d+$/ })
      .first()
      .click()
    await page.getByRole('heading', { name: 'Lamp is dark' }).waitFor()
  })

  test('offline and back again, the stream is complete and in order', async () => {
    const page = await visit('/deliveries')
    await untilLive(page)
    await form({ issue: { name: 'before', text: 'x' } })
    const { json: before } = await admin('/deliveries?limit=1')
    await page.locator(`[data-delivery="${before.deliveries[0].id}"]`).waitFor()
    await page.context().setOffline(true)
    await untilLive(page, 'offline')
    for (const name of ['one', 'two', 'three']) await form({ issue: { name, text: 'x' } })
    await page.context().setOffline(false)
    await untilLive(page)
    await form({ issue: { name: 'after', text: 'x' } })
    const { json } = await admin('/deliveries?limit=200')
    const ids = json.deliveries.map(({ id }: { id: number }) => String(id))
    const shown = () =>
      page.locator('[data-delivery]').evaluateAll((all) => all.map((one) => one.getAttribute('data-delivery') ?? ''))
    // Only what is seen is drawn, in whatever order it was put there.
    const newest = async () => (await shown()).toSorted((a, b) => Number(b) - Number(a)).slice(0, 6)
    await expect.poll(newest, { timeout: 60_000, interval: 100 }).toEqual(ids.slice(0, 6))
  })

  test('j and k walk through them, Escape goes back to the list', async () => {
    const page = await visit('/deliveries?outcome=rejected')
    await row(page, 'rejected').nth(1).waitFor()
    const ids = await row(page, 'rejected').evaluateAll((rows) => rows.map((one) => one.dataset['delivery']))
    // The second one comes while the first is still on its way.
    for (const key of ['j', 'j']) await page.keyboard.press(key)
    await page.waitForURL(`**/deliveries/${ids[1]}?outcome=rejected`)
    await page.keyboard.press('k')
    await page.waitForURL(`**/deliveries/${ids[0]}?outcome=rejected`)
    await page.getByRole('heading', { name: `Delivery ${ids[0]}` }).waitFor()
    await page.keyboard.press('Escape')
    await page.waitForURL('**/deliveries?outcome=rejected')
  })

  test('paused, it holds still and counts; many are replayed with their progress shown', async () => {
    await form({ no: 'name' })
    const page = await visit('/deliveries?outcome=rejected')
    await untilLive(page)
    await row(page, 'rejected').first().waitFor()
    await page.getByRole('button', { name: 'Pause' }).click()
    const before = await row(page, 'rejected').count()
    await form({ no: 'name either' })
    await page.getByRole('button', { name: 'Resume (1 new)' }).click()
    await expect.poll(() => row(page, 'rejected').count(), { timeout: 60_000 }).toBe(before + 1)
    await page.getByRole('button', { name: 'Replay…' }).click()
    const dialog = page.getByRole('dialog', { name: 'Replay many' })
    await dialog.getByLabel('Source', { exact: true }).selectOption('acme-forms')
    await dialog.getByRole('button', { name: 'Replay', exact: true }).click()
    await dialog.getByText('Done: 2 replayed, 0 taken').waitFor()
  })
})

describe('sources and settings', { timeout: PATIENCE }, () => {
  test('a source is made from its platform to its first delivery', async () => {
    const page = await visit('/sources')
    await page.getByRole('link', { name: 'New source' }).click()
    await page.getByRole('radio', { name: 'Jira' }).check()
    await page.getByLabel('Name', { exact: true }).fill('Jira of support')
    expect(await page.getByLabel('Id', { exact: true }).inputValue()).toBe('jira-of-support')
    await page.getByRole('button', { name: 'Create' }).click()
    await page.getByText('Tick Issue created, updated, deleted').waitFor()
    await page.getByText(`${server.webhook}/jira-of-support`).waitFor()
    await page.getByText('Shown this once').waitFor()
    await untilLive(page)
    await page.getByText('Waiting for the first delivery…').waitFor()
    await page.getByRole('button', { name: 'Send a test' }).click()
    await page.getByText('The last delivery was created.').waitFor()
    await page.getByRole('link', { name: 'Done' }).click()
    await page.getByLabel('Requests a minute').fill('60')
    await page.getByLabel('Networks it may send from').fill('10.0.0.0/8\n192.0.2.7')
    await page.getByRole('button', { name: 'Save', exact: true }).click()
    await page.getByText('Saved', { exact: true }).waitFor()
    const { json } = await admin('/sources/jira-of-support')
    expect(json).toMatchObject({ rate: 60, networks: ['10.0.0.0/8', '192.0.2.7'] })
    await page.getByRole('button', { name: 'Rotate…' }).click()
    await page.getByRole('button', { name: 'Make a new secret' }).click()
    await page.getByText('Give it to the sender before').waitFor()
  })

  test('a key is shown once and revoked; the audit log is verified', async () => {
    const page = await visit('/settings')
    await page.getByRole('button', { name: 'New key…' }).click()
    await page.getByLabel('Name', { exact: true }).fill('import')
    await page.getByRole('button', { name: 'Make the key' }).click()
    await page.getByText(/^tf_[\w-]{40,}$/).waitFor()
    await page.getByRole('button', { name: 'I have it' }).click()
    await page.getByRole('button', { name: 'Revoke import' }).click()
    await page.getByRole('button', { name: 'Revoke the key' }).click()
    await page.getByText('import was revoked').waitFor()
    await page.getByRole('button', { name: 'Verify' }).click()
    await page.getByText(/^Whole: \d+ deliveries/).waitFor()
  })
})

describe('every page, in both themes', { timeout: 2 * PATIENCE }, () => {
  test('axe finds nothing', async () => {
    await zendesk(50_003)
    const { json } = await admin('/deliveries?limit=1')
    const page = await visit('/deliveries')
    const seen = pagesWith(json.deliveries[0].id)
    const found: string[] = []
    const look = async (path: string) => {
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
        // What is drawn by script is drawn anew for another theme.
        await page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))')
        for (const violation of await violationsOf(page)) found.push(`${path} ${colorScheme} ${violation}`)
      }
    }
    for (const [path, sign] of Object.entries(seen)) {
      await page.goto(server.url + path)
      await page.locator(sign).first().waitFor()
      await look(path)
    }
    await page.goto(`${server.url}/settings`)
    await page.getByRole('button', { name: 'New key…' }).click()
    await page.getByLabel('Name', { exact: true }).waitFor()
    await look('a dialog')
    expect(found).toEqual([])
  })
})

/** What can be used, is to be seen, and is not within the page's width. */
const OUTSIDE = `[...document.querySelectorAll('a, button, input, select, textarea, summary')]
  .filter((element) => {
    const { width, left, right } = element.getBoundingClientRect()
    return width > 0 && !element.matches('.sr-only') && (left < 0 || right > innerWidth)
  })
  .map((element) => element.outerHTML.slice(0, 120))`

/** A fifth of what counts as good. */
const MOST_SHIFT = 0.02
/** Sums up how much moved without anybody having asked for it (web.dev/articles/cls). */
const WATCH_SHIFTS = `globalThis.shift = 0
new PerformanceObserver((list) => {
  for (const { value, hadRecentInput } of list.getEntries()) if (!hadRecentInput) globalThis.shift += value
}).observe({ type: 'layout-shift', buffered: true })`

test(
  'on a telephone nothing is out of reach, and nothing moves while a page is loaded',
  { timeout: PATIENCE },
  async () => {
    await zendesk(50_004)
    const { json } = await admin('/deliveries?limit=1')
    const page = await visit('/tickets', { viewport: { width: 360, height: 740 } })
    await page.addInitScript(WATCH_SHIFTS)
    const pages = {
      ...pagesWith(json.deliveries[0].id),
      '/tickets?q=csv': '[data-ticket]',
      [`/tickets/${json.deliveries[0].ticket_id}`]: 'text=Timeline',
      '/welcome': 'text=Or from a terminal',
    }
    const found: string[] = []
    for (const [path, sign] of Object.entries(pages)) {
      await page.goto(server.url + path)
      await page.locator(sign).first().waitFor()
      for (const element of await page.evaluate<string[]>(OUTSIDE)) found.push(`${path} ${element}`)
      const shift = await page.evaluate<number>('globalThis.shift')
      if (shift > MOST_SHIFT) found.push(`${path} moved: ${shift.toFixed(3)}`)
    }
    expect(found).toEqual([])
  },
)
