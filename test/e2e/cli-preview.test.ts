import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { ticketflow } from '../cli.ts'
import { recorded } from '../fixtures.ts'
import { temporaryDirectory } from '../server.ts'

let folder: string
beforeAll(async () => {
  folder = await temporaryDirectory()
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function file(name: string, body: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, body)
  return path
}

describe('ticketflow preview', () => {
  test('shows what the webhook would make of a file, without a server', async () => {
    const path = await file('zendesk.json', recorded('zendesk-ticket-created-event').raw_body)
    const { code, stdout } = await ticketflow(['preview', path])
    expect(code).toBe(0)
    expect(stdout).toContain('Zendesk (zendesk)')
    expect(stdout).toMatch(/kind +created/)
    expect(stdout).toMatch(/title +CSV export hangs for large order lists/)
    expect(stdout).toMatch(/priority +medium/)
    expect(stdout).toMatch(/unmapped +.*detail\.brand_id/)
    expect(stdout).toMatch(/warning +No e-mail/)
  })

  test('prints JSON, reads forms, takes headers and a platform by name', async () => {
    const form = await file('form.txt', recorded('zendesk-trigger-form').raw_body)
    const byShape = JSON.parse((await ticketflow(['preview', form, '--json'])).stdout)
    expect(byShape).toMatchObject({ platform: 'zendesk', ticket: { priority: 'urgent' } })
    const bare = await file('bare.json', '{"ticket":{"id":7,"title":"a"}}')
    const byName = JSON.parse((await ticketflow(['preview', bare, '--platform', 'zendesk', '--json'])).stdout)
    const byHeader = JSON.parse(
      (await ticketflow(['preview', bare, '--header', 'X-Zendesk-Webhook-Id: w', '--json'])).stdout,
    )
    expect(byName.ticket).toEqual(byHeader.ticket)
    expect(byName.platform).toBe('zendesk')
  })

  test('says why a body would be refused, with exit code 1', async () => {
    const { code, stdout } = await ticketflow(['preview', await file('bad.json', '{"title":"a"}')])
    expect([code, stdout.trim()]).toEqual([1, 'refused  Description or body is required'])
    const json = await ticketflow(['preview', await file('broken.json', '{"title'), '--json'])
    expect([json.code, JSON.parse(json.stdout).detail]).toEqual([1, expect.stringContaining('not valid JSON')])
  })

  test('says that there is no such file, in one line', async () => {
    const { code, stderr } = await ticketflow(['preview', join(folder, 'nothing.json')])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^ticketflow: .*nothing\.json/)
    expect(stderr.trim().split('\n')).toHaveLength(1)
  })
})
