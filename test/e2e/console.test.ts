import naughty from 'big-list-of-naughty-strings'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import { violationsOf } from '../axe.ts'
import { openChromium, openPage, type Watched } from '../chromium.ts'
import { rowOf, rows, send, untilLive } from '../console.ts'
import { discard, get, startTestServer, type TestServer } from '../server.ts'

/** Generous: a browser on a loaded machine with two cores takes ten times as long as on an idle one. */
const PATIENCE = 300_000
const KEY = 'k'.repeat(40)

let open: TestServer
let closed: TestServer
let browser: Browser
const watched: Watched[] = []

async function visit(url: string, options: Parameters<typeof openPage>[1] = {}): Promise<Page> {
  const one = await openPage(browser, options)
  watched.push(one)
  await one.page.goto(url)
  return one.page
}

beforeAll(async () => {
  ;[open, closed, browser] = await Promise.all([
    startTestServer(),
    startTestServer({ TICKETFLOW_ADMIN_KEY: KEY }),
    openChromium(),
  ])
}, PATIENCE)
afterAll(async () => {
  await browser?.close()
  await Promise.all([open, closed].map(discard))
}, PATIENCE)
afterEach(async () => {
  const pages = watched.splice(0)
  const complaints = pages.flatMap((one) => one.complaints)
  await Promise.all(pages.map(({ page }) => page.context().close()))
  // Among these would be each breach of the page's own policy.
  expect(complaints).toEqual([])
}, PATIENCE)

const until = (isSo: () => Promise<boolean>) => expect.poll(isSo, { timeout: 60_000, interval: 100 }).toBe(true)
const focusOf = (page: Page) => page.evaluate<string>(`document.activeElement?.textContent ?? ''`)
const statusOf = async (id: number) => (await get(`${open.url}/api/tickets/${id}`)).json.status

describe('the queue', { timeout: PATIENCE }, () => {
  test('the first ticket comes in by the page’s own button, and is seen to arrive', async () => {
    const page = await visit(open.url)
    await page.waitForURL('**/welcome')
    await untilLive(page)
    for (const [platform, title] of [
      ['Zendesk', 'CSV export hangs for large order lists'],
      ['Freshdesk', 'Printer on the third floor is offline'],
      ['Jira', 'Invoice PDF shows the wrong VAT'],
      ['ServiceNow', 'E-mail server cannot be reached'],
    ] as const) {
      await page.getByRole('button', { name: `Send a ${platform} ticket` }).click()
      await page
        .getByRole('status')
        .filter({ hasText: `Arrived: ${title}` })
        .waitFor()
    }
    await page.getByRole('link', { name: /Invoice PDF/ }).click()
    await page.getByRole('heading', { name: 'Invoice PDF shows the wrong VAT' }).waitFor()
    expect(await page.getByLabel('Priority').last().inputValue()).toBe('high')
    await page.getByRole('link', { name: /^delivery \d+$/ }).click()
    await page.waitForURL('**/deliveries/*')
  })

  test('a search finds all words at once, stands in the address, and outlives a reload', async () => {
    await send(open, { title: 'The quick brown fox', category: 'animals' })
    await send(open, { title: 'The lazy dog', category: 'animals' })
    const page = await visit(`${open.url}/tickets`)
    await page.getByRole('searchbox').fill('quick fox')
    await until(async () => (await rows(page).count()) === 1)
    await page.waitForURL('**/tickets?q=quick+fox')
    await page.reload()
    await rowOf(page, 'The quick brown fox').waitFor()
    await page.getByRole('button', { name: 'Clear', exact: true }).click()
    await rowOf(page, 'The lazy dog').waitFor()
    await page.getByLabel('Category').selectOption('animals')
    await until(async () => (await rows(page).count()) === 2)
    expect(new URL(page.url()).search).toBe('?category=animals')
  })

  test.each(['/', '/tickets?q=walrus&status=new'])('at %s what it shows is asked for once', async (path) => {
    await send(open, { title: 'The walrus sleeps' })
    const page = await visit('about:blank')
    // Whoever hears of events asks once more, for what came in between.
    await page.route('**/api/events', (route) => route.fulfill({ status: 404 }))
    const asked: string[] = []
    page.on('request', (request) => asked.push(new URL(request.url()).pathname))
    await page.goto(open.url + path)
    await rowOf(page, 'The walrus sleeps').first().waitFor()
    await page.locator('[data-live=absent]:visible').waitFor()
    for (const once of ['/api/tickets', '/api/session']) expect(asked.filter((one) => one === once)).toHaveLength(1)
  })

  test('many are closed at once; one that cannot be says why, and the rest can be undone', async () => {
    const ids: number[] = []
    for (let index = 1; index <= 6; index += 1) ids.push(await send(open, { title: `Bulk ${index}`, category: 'bulk' }))
    const [cut = 0, ...others] = ids
    const page = await visit(`${open.url}/tickets?category=bulk`)
    await page.route(`**/api/tickets/${cut}`, (route) =>
      route.request().method() === 'PATCH' ? route.abort('connectionreset') : route.continue(),
    )
    await rowOf(page, 'Bulk 1').waitFor()
    await page.getByLabel(`Select ticket ${ids.at(-1)}`).click()
    await page.getByLabel(`Select ticket ${cut}`).click({ modifiers: ['Shift'] })
    await page.getByText('6 selected').waitFor()
    await page.getByRole('button', { name: 'Close', exact: true }).click()
    await page.getByText('5 tickets closed, 1 not: see the marked rows').waitFor()
    await rowOf(page, 'Bulk 1').getByText('The server could not be reached').waitFor()
    expect(await Promise.all(ids.map(statusOf))).toEqual(['new', ...others.map(() => 'closed')])
    await page.getByRole('button', { name: 'Undo' }).click()
    await page.getByText('5 tickets as before').waitFor()
    expect(await Promise.all(ids.map(statusOf))).toEqual(ids.map(() => 'new'))
  })

  test('the keyboard does it all', async () => {
    const [first, second, third] = [
      await send(open, { title: 'Keys one', category: 'keys' }),
      await send(open, { title: 'Keys two', category: 'keys' }),
      await send(open, { title: 'Keys three', category: 'keys' }),
    ]
    const page = await visit(`${open.url}/tickets?category=keys`)
    await rowOf(page, 'Keys one').waitFor()
    const press = (key: string) => page.keyboard.press(key)
    const isOn = (title: string) => until(async () => (await focusOf(page)) === title)
    await press('j')
    await isOn('Keys three')
    await press('j')
    await isOn('Keys two')
    await press('k')
    await isOn('Keys three')
    await press('Enter')
    await page.waitForURL(`**/tickets/${third}?category=keys`)
    await isOn('Keys three')
    await press('Escape')
    await page.waitForURL('**/tickets?category=keys')
    await isOn('Keys three')
    await press('j')
    await press('x')
    await press('j')
    await press('x')
    await page.getByText('2 selected').waitFor()
    await press('e')
    await page.getByText('2 tickets closed').waitFor()
    expect(await Promise.all([first, second, third].map(statusOf))).toEqual(['closed', 'closed', 'new'])
    await press('?')
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor()
    await press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await press('/')
    await page.keyboard.type('jelly')
    await page.waitForURL('**/tickets?category=keys&q=jelly')
    await press('Control+k')
    await page.getByRole('dialog', { name: 'Commands' }).waitFor()
    await page.keyboard.type(`#${first}`)
    await press('Enter')
    await page.getByRole('heading', { name: 'Keys one' }).waitFor()
  })

  test('what was missed while offline is there after it, in order', async () => {
    await send(open, { title: 'Before the tunnel', category: 'train' })
    const page = await visit(`${open.url}/tickets?category=train`)
    await rowOf(page, 'Before the tunnel').waitFor()
    await untilLive(page)
    await page.context().setOffline(true)
    await untilLive(page, 'offline')
    await send(open, { title: 'In the tunnel', category: 'train' })
    await send(open, { title: 'Still in the tunnel', category: 'train' })
    await page.context().setOffline(false)
    await untilLive(page)
    await send(open, { title: 'After the tunnel', category: 'train' })
    await rowOf(page, 'After the tunnel').waitFor()
    await until(async () => (await rows(page).count()) === 4)
    const titles = await rows(page).getByRole('link').allTextContents()
    expect(titles).toEqual(['After the tunnel', 'Still in the tunnel', 'In the tunnel', 'Before the tunnel'])
  })
})

describe('text from outside', { timeout: PATIENCE }, () => {
  const CORPUS = naughty.filter((text) => /[<>]|javascript:|&#|\{\{|\$\{|onerror|alert/i.test(text)).slice(0, 200)
  const OWN = [
    '<img src=x onerror="window.broken = 1">',
    '<script>window.broken = 1</script>',
    '"><svg onload=window.broken=1>',
    '<style>*{display:none}</style>',
  ]

  test('stays text: titles, descriptions, comments and metadata', async () => {
    expect(CORPUS.length).toBeGreaterThan(50)
    const all = [...OWN, ...CORPUS].join('\n')
    const ids: number[] = []
    for (const text of OWN) {
      const id = await send(open, {
        title: text,
        description: all,
        category: 'hostile',
        platform: text,
        id: text,
        customer_email: 'a@example.com',
        metadata: { url: 'javascript:window.broken=1', [text]: text, deep: { [text]: [text, { text }] } },
      })
      ids.push(id)
    }
    const page = await visit(`${open.url}/tickets?category=hostile`)
    await until(async () => (await rows(page).count()) === OWN.length)
    expect(await rows(page).getByRole('link').allTextContents()).toEqual(OWN.toReversed())
    for (const [index, text] of OWN.entries()) {
      await page.goto(`${open.url}/tickets/${ids[index]}`)
      await page.getByRole('heading', { name: text, exact: true }).waitFor()
      const shown = await page.getByRole('region', { name: 'Description' }).getByRole('paragraph').textContent()
      expect(shown).toContain(OWN.join('\n'))
      const { json } = await get(`${open.url}/api/tickets/${ids[index]}`)
      expect(shown?.replace(/…$/, '')).toBe(json.description.slice(0, (shown ?? '').replace(/…$/, '').length))
      await page
        .getByRole('region', { name: 'Metadata' })
        .getByText(/^\d+ fields?$/)
        .first()
        .click()
    }
    // What no page of ours has, and every attack would.
    const planted = await page.evaluate(`[
      'broken' in globalThis,
      document.querySelectorAll('main script, main style, main img, main iframe, a[href^="javascript:" i]').length,
      ]`)
    expect(planted).toEqual([false, 0])
  })
})

describe('access', { timeout: PATIENCE }, () => {
  const signIn = async (page: Page, key: string) => {
    await page.getByLabel('Key', { exact: true }).fill(key)
    await page.getByRole('button', { name: 'Sign in' }).click()
  }

  test('a wrong key is refused, the right one leads to where one wanted to go', async () => {
    const id = await send(closed, { title: 'Behind the door' }, { authorization: `Bearer ${KEY}` })
    const page = await visit(`${closed.url}/tickets/${id}`)
    await page.waitForURL('**/sign-in?to=*')
    await signIn(page, 'wrong'.repeat(8))
    await page.getByRole('alert').filter({ hasText: 'This key is not known here' }).waitFor()
    await signIn(page, KEY)
    await page.getByRole('heading', { name: 'Behind the door' }).waitFor()
    expect(new URL(page.url()).pathname).toBe(`/tickets/${id}`)
    // The key is nowhere that a script could find it.
    const kept = await page.evaluate<string>('JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie')
    expect(kept).not.toContain(KEY)
  })

  test('a session that has ended leads to the door and back', async () => {
    await send(closed, { title: 'Inside the house' }, { authorization: `Bearer ${KEY}` })
    const page = await visit(`${closed.url}/tickets`)
    await signIn(page, KEY)
    await rowOf(page, 'Inside the house').waitFor()
    // Ended at the server, as its end of life would: the page does not know.
    const [cookie] = await page.context().cookies()
    expect(cookie?.httpOnly).toBe(true)
    await fetch(`${closed.url}/api/session`, {
      method: 'DELETE',
      headers: { cookie: `${cookie?.name}=${cookie?.value}`, 'x-ticketflow-csrf': '1' },
    })
    await page.getByRole('searchbox').fill('house')
    await page.waitForURL('**/sign-in?to=*')
    await page.getByText('Your session has ended').waitFor()
    await signIn(page, KEY)
    await page.waitForURL('**/tickets?q=house')
    await rowOf(page, 'Inside the house').waitFor()
    await page.getByRole('button', { name: 'TICKETFLOW_ADMIN_KEY' }).click()
    await page.getByRole('menuitem', { name: 'Sign out' }).click()
    await page.waitForURL('**/sign-in')
    expect((await page.context().cookies()).filter(({ value }) => value !== '')).toEqual([])
  })

  test('a test ticket is sent in the name of who is signed in', async () => {
    const page = await visit(`${closed.url}/welcome`)
    await signIn(page, KEY)
    await untilLive(page)
    await page.getByRole('button', { name: 'Send a Jira ticket' }).click()
    await page.getByRole('status').filter({ hasText: 'Arrived: Invoice PDF' }).waitFor()
  })
})

describe.each(['light', 'dark'] as const)('axe finds nothing, %s', { timeout: PATIENCE }, (colorScheme) => {
  test('on the queue, the ticket, the first run and the dialogs', async () => {
    const id = await send(open, { title: 'Look at me', category: 'axe', priority: 'urgent', metadata: { a: { b: 1 } } })
    const page = await visit(`${open.url}/tickets?category=axe`, { colorScheme })
    await rowOf(page, 'Look at me').first().waitFor()
    expect(await violationsOf(page)).toEqual([])
    await page.getByLabel(`Select ticket ${id}`).click()
    await page.getByText('1 selected').waitFor()
    expect(await violationsOf(page)).toEqual([])
    await page.getByRole('button', { name: 'View: ' }).click()
    await page.getByRole('menu').waitFor()
    expect(await violationsOf(page)).toEqual([])
    await page.keyboard.press('Escape')
    await page.keyboard.press('?')
    await page.getByRole('dialog').waitFor()
    expect(await violationsOf(page)).toEqual([])
    await page.keyboard.press('Escape')
    await page.keyboard.press('Control+k')
    await page.getByRole('dialog', { name: 'Commands' }).waitFor()
    expect(await violationsOf(page)).toEqual([])
    await page.goto(`${open.url}/tickets/${id}`)
    await page.getByRole('heading', { name: 'Timeline' }).waitFor()
    expect(await violationsOf(page)).toEqual([])
    await page.setViewportSize({ width: 360, height: 740 })
    expect(await violationsOf(page)).toEqual([])
    await page.goto(`${open.url}/welcome`)
    await page.getByRole('heading', { name: 'Or from a terminal' }).waitFor()
    expect(await violationsOf(page)).toEqual([])
    await page.goto(`${open.url}/tickets?q=nothinglikeit`)
    await page.getByText('No ticket matches').waitFor()
    expect(await violationsOf(page)).toEqual([])
  })

  test('on the door', async () => {
    const page = await visit(`${closed.url}/sign-in`, { colorScheme })
    await page.getByRole('button', { name: 'Sign in' }).waitFor()
    expect(await violationsOf(page)).toEqual([])
  })
})
