import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { fakeServer, freePort, listening, run } from '../cli.ts'
import { discard, get, ROOT, startTestServer, temporaryDirectory, type TestServer } from '../server.ts'

const SPEC = join(ROOT, '../shared/spec/webhook-integration.md')
const SPEC_PORT = 8000

const hasRequests = succeeds('python3', ['-c', 'import requests'])
const hasCurl = succeeds('curl', ['--version'])
const isPortFree = await new Promise<boolean>((resolve) => {
  const probe = createServer().once('error', () => resolve(false))
  probe.listen(SPEC_PORT, '127.0.0.1', () => probe.close(() => resolve(true)))
})

const noPython = hasRequests ? null : 'python3 with requests is not installed'
const noCurl = hasCurl ? null : 'curl is not installed'
const noSpec =
  noPython ?? (existsSync(SPEC) ? null : `${SPEC} is not there`) ?? (isPortFree ? null : `port ${SPEC_PORT} is in use`)

/** A test that cannot run here says so in its own name. */
function testUnless(obstacle: string | null, name: string, body: () => Promise<void>): void {
  test.skipIf(obstacle !== null)(obstacle === null ? name : `${name} [skipped: ${obstacle}]`, body)
}

function succeeds(program: string, args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

describe('examples', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer()
  })
  afterAll(() => discard(server))

  testUnless(noPython, 'test_webhook_endpoint.py passes, again and again', async () => {
    for (let time = 1; time <= 2; time += 1) {
      const { code, stdout } = await run('python3', ['examples/python/test_webhook_endpoint.py', server.url])
      expect(stdout).not.toContain('FAIL')
      expect(stdout).toContain('18 of 18 checks passed')
      expect(code).toBe(0)
    }
  })

  testUnless(noPython, 'test_webhook_endpoint.py fails readably against nothing and against nonsense', async () => {
    const script = 'examples/python/test_webhook_endpoint.py'
    const nobody = await run('python3', [script, `http://127.0.0.1:${await freePort()}`])
    expect(nobody).toMatchObject({ code: 1, stderr: '', stdout: expect.stringContaining('is it running?') })

    const nonsense = fakeServer((_request, response) => response.end('[]'))
    const wrong = await listening(nonsense, (port) => run('python3', [script, `http://127.0.0.1:${port}`]))
    expect(wrong).toMatchObject({ code: 1, stderr: '', stdout: expect.stringContaining('0 of 18 checks passed') })
  })

  const senders: [name: string, obstacle: string | null, program: string, file: string, says: RegExp][] = [
    ['send_ticket.py', noPython, 'python3', 'examples/python/send_ticket.py', /^Ticket \d+ \(high, new\): Coupon/],
    [
      'send-ticket.ts',
      null,
      process.execPath,
      'examples/typescript/send-ticket.ts',
      /^Ticket \d+ \(medium, new\): App/,
    ],
    ['send-ticket.sh', noCurl, 'sh', 'examples/curl/send-ticket.sh', /^\{"id":\d+,"title":"Receipt is missing"/],
  ]
  for (const [name, obstacle, program, file, says] of senders) {
    testUnless(obstacle, `${name} makes one ticket`, async () => {
      const newest = async () => (await get(`${server.url}/api/tickets?limit=1`)).json.tickets[0]?.id ?? 0
      const before = await newest()
      const { code, stdout, stderr } = await run(program, [file, server.url])
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toMatch(says)
      expect(await newest()).toBe(before + 1)
    })
  }
})

describe('the specification', () => {
  testUnless(noSpec, 'its Python examples, unchanged, do what it says', async () => {
    const blocks = [...readFileSync(SPEC, 'utf8').matchAll(/^```python\n(.*?)^```$/gms)].map(([, code]) => code)
    expect(blocks).toHaveLength(6)
    const folder = await temporaryDirectory()
    const script = join(folder, 'spec.py')
    await writeFile(script, blocks.join('\n'))
    const server = await startTestServer({ PORT: String(SPEC_PORT) })
    try {
      const { code, stdout, stderr } = await run('python3', [script])
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout.trimEnd().split('\n')).toEqual([
        'Created ticket 1: Password reset not working',
        'Created 2 tickets',
        'Failed 0 tickets',
        "{'status': 'healthy', 'endpoint': 'webhook', 'supported_platforms': ['zendesk', 'freshdesk', 'jira', " +
          "'servicenow', 'custom'], 'features': ['flexible_field_mapping', 'automatic_validation', " +
          "'batch_processing', 'metadata_preservation']}",
      ])
      const { json } = await get(`${server.url}/api/tickets`)
      const made = json.tickets
        .toReversed()
        .map((ticket: Record<string, unknown>) => [
          ticket['title'],
          ticket['category'],
          ticket['priority'],
          ticket['user_email'] ?? ticket['user_id'],
        ])
      expect(made).toEqual([
        ['Password reset not working', 'general', 'high', 'user@example.com'],
        ['API integration failing', 'technical', 'urgent', 'dev@company.com'],
        ['Feature request: Dark mode', 'feature_request', 'medium', 'jira-12345'],
        ['Billing inquiry', 'billing', 'low', 'billing@customer.com'],
        ['Ticket 1', 'general', 'high', 'user1@example.com'],
        ['Ticket 2', 'general', 'medium', 'user2@example.com'],
      ])
      expect(
        json.tickets.find((ticket: { title: string }) => ticket.title === 'Billing inquiry').ticket_metadata,
      ).toEqual({
        platform: 'custom_system',
        external_id: 'ext-789',
        source_url: 'https://custom-system.com/ticket/789',
        department: 'finance',
        custom_field: 'value',
      })
    } finally {
      await discard(server)
      await rm(folder, { recursive: true, force: true })
    }
  })
})
