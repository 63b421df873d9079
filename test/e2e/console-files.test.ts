import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { exchange, httpRequest } from '../wire.ts'
import { discard, ROOT, startTestServer, type TestServer } from '../server.ts'

const BUILT = join(ROOT, 'console/dist')
const FIRST_LOAD_KB = 200

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => discard(server))

const scripts = () => readdirSync(join(BUILT, 'assets')).filter((name) => name.endsWith('.js'))
const ask = (path: string, headers: Record<string, string> = {}) => fetch(server.url + path, { headers })

describe('the console’s files', () => {
  test('its pages are one page, which runs and styles itself by its own files alone', async () => {
    for (const path of [
      '/',
      '/tickets',
      '/tickets/7',
      '/deliveries/3',
      '/sources/a/mapping',
      '/settings',
      '/sign-in',
    ]) {
      const page = await ask(path)
      expect([path, page.status, page.headers.get('content-type')]).toEqual([path, 200, 'text/html; charset=utf-8'])
      const policy = page.headers.get('content-security-policy') ?? ''
      expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/)
      expect(policy).toContain("frame-ancestors 'none'")
      expect(policy).not.toMatch(/unsafe|http|\*/)
      expect(page.headers.get('cache-control')).toBe('no-cache')
      const html = await page.text()
      expect(html).not.toMatch(/<script(?![^>]*\bsrc=)[^>]*>|<style|\son\w+=|javascript:|\/\/\w/i)
      for (const [, asked = ''] of html.matchAll(/(?:src|href)="([^"]+)"/g)) {
        expect([asked, (await ask(asked)).status]).toEqual([asked, 200])
      }
    }
  })

  test('what its name says the content of is kept for good, compressed as it lies', async () => {
    const [name = ''] = scripts()
    const file = await ask(`/assets/${name}`, { 'accept-encoding': 'gzip' })
    expect(file.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
    expect(file.headers.get('content-encoding')).toBe('gzip')
    expect(await file.text()).toBe(readFileSync(join(BUILT, 'assets', name), 'utf8'))
    const etag = (await ask('/', { 'accept-encoding': 'identity' })).headers.get('etag') ?? ''
    const { answers } = await exchange(
      server.url,
      httpRequest({ method: 'GET', path: '/', headers: { 'if-none-match': etag } }),
    )
    expect(answers[0]?.status).toBe(304)
  })

  test.each(['/assets/none.js', '/assets/', '/index.html', '/built-from.txt', '/theme.js.gz', '/console/src/main.tsx'])(
    'there is no %s, and it says no more than that',
    async (path) => {
      const { answers } = await exchange(server.url, httpRequest({ method: 'GET', path }))
      expect(answers[0]?.status).toBe(404)
      expect(answers[0]?.body.toString()).not.toMatch(/node_modules|\bat \w+|\.ts\b/)
    },
  )

  test(`the first page needs at most ${FIRST_LOAD_KB} KB of scripts`, async () => {
    const html = await (await ask('/tickets')).text()
    const sizes = scripts().map((name) => ({
      isFirst: html.includes(name),
      bytes: gzipSync(readFileSync(join(BUILT, 'assets', name))).length,
    }))
    const first = sizes.filter(({ isFirst }) => isFirst).reduce((sum, { bytes }) => sum + bytes, 0)
    // The largest of the others stands for the page that is opened.
    const largest = Math.max(...sizes.filter(({ isFirst }) => !isFirst).map(({ bytes }) => bytes))
    expect(first).toBeGreaterThan(100_000)
    expect((first + largest) / 1000).toBeLessThan(FIRST_LOAD_KB)
  })
})
