import type { RequestListener } from 'node:http'
import { createServer } from 'node:net'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { fakeServer, freePort, listening, ticketflow } from '../cli.ts'
import { discard, get, startTestServer, type TestServer } from '../server.ts'

const STACK = /^\s+at /m

const answer =
  (status: number, type: string, body: string): RequestListener =>
  (_request, response) =>
    response.writeHead(status, { 'content-type': type }).end(body)

/** Seems to be TicketFlow, and breaks off each ticket. */
const quitter: RequestListener = (request, response) =>
  request.method === 'GET' ? response.end('{"endpoint":"webhook"}') : request.socket.destroy()

describe('against a TicketFlow server', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer()
  })
  afterAll(() => discard(server))

  test('every check passes, again and again', async () => {
    for (let time = 1; time <= 2; time += 1) {
      const { code, stdout, stderr } = await ticketflow(['check', server.url])
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toContain('20 of 20 checks passed')
      expect(stdout).not.toContain('\u001B[')
    }
    const { json } = await get(`${server.url}/api/tickets?platform=zendesk`)
    expect(json.tickets).toHaveLength(4)
  })

  test('prints JSON for a program, and takes the webhook’s own address', async () => {
    const { code, stdout } = await ticketflow(['check', `${server.webhook}/`, '--json'])
    const report = JSON.parse(stdout)
    expect({ code, ok: report.ok, url: report.url }).toEqual({ code: 0, ok: true, url: server.url })
    expect(report.checks).toHaveLength(20)
    expect(report.checks[0]).toEqual({
      name: 'health check',
      expected: expect.any(String),
      got: expect.any(String),
      ms: expect.any(Number),
      ok: true,
    })
  })
})

describe('against something else', () => {
  test.each([
    ['a page with status 500', answer(500, 'text/html', '<h1>It broke</h1>'), '500 (text/html): <h1>It broke</h1>'],
    ['JSON of another shape', answer(200, 'application/json', '{"status":"up"}'), '200 (application/json): {"status"'],
    ['a redirect', answer(302, 'text/plain', ''), '302 (text/plain): empty'],
  ])('%s: says what was expected, what came and what to do', async (_name, listener, came) => {
    const { code, stdout, stderr } = await listening(fakeServer(listener), (port) =>
      ticketflow(['check', `http://127.0.0.1:${port}`]),
    )
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/is not TicketFlow; is it the right address and port\?/)
    expect(stderr).toContain('expected  200 (application/json): {"status":"healthy"')
    expect(stderr).toContain(`came      ${came}`)
    expect(stderr).not.toMatch(STACK)
  })

  test('a server that looks healthy and answers nonsense fails check by check', async () => {
    const health = JSON.stringify({ status: 'healthy', endpoint: 'webhook', supported_platforms: [], features: [] })
    const listener: RequestListener = (request, response) =>
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(request.method === 'GET' ? health : '{"id":"one","title":null,"created_tickets":7}')
    const { code, stdout, stderr } = await listening(fakeServer(listener), (port) =>
      ticketflow(['check', `127.0.0.1:${port}`]),
    )
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
    expect(stdout).toContain('0 of 20 checks passed')
    expect(stdout).toContain('expected a ticket; it has no description, category')
    expect(stdout).toContain('expected status 415; came 200 (application/json)')
    expect(stdout).not.toMatch(STACK)
  })

  test('a server that goes away in the middle ends the run', async () => {
    const { code, stdout, stderr } = await listening(fakeServer(quitter), (port) =>
      ticketflow(['check', `http://127.0.0.1:${port}`]),
    )
    expect(code).toBe(1)
    expect(stdout).toContain('0 of 2 checks passed, 18 were not run')
    expect(stderr).toMatch(/^ticketflow: No answer from http.*\n$/)
  })
})

describe('against nothing', () => {
  test('says that nothing listens', async () => {
    const url = `http://127.0.0.1:${await freePort()}`
    const { code, stdout, stderr } = await ticketflow(['check', url])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toBe(
      `ticketflow: Nothing listens at ${url}; start the server (npm start) or give the address that it listens at\n`,
    )
  })

  test('says so as JSON too', async () => {
    const { code, stdout } = await ticketflow(['check', `http://127.0.0.1:${await freePort()}`, '--json'])
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      error: expect.stringMatching(/^Nothing listens/),
      checks: [],
    })
  })

  test('waits no longer than --timeout', async () => {
    const silent = fakeServer(() => {})
    const { code, stderr } = await listening(silent, (port) =>
      ticketflow(['check', `http://127.0.0.1:${port}`, '--timeout', '0.2']),
    )
    expect(code).toBe(1)
    expect(stderr).toMatch(/^ticketflow: No answer from \S+ within 0.2 s; --timeout allows it more\n$/)
  })

  test('says that a port does not speak HTTP', async () => {
    const ssh = createServer((socket) => void socket.once('data', () => socket.end('SSH-2.0-OpenSSH_9.6\r\n')))
    const { code, stderr } = await listening(ssh, (port) => ticketflow(['check', `http://127.0.0.1:${port}`]))
    expect(code).toBe(1)
    expect(stderr).toMatch(/does not speak HTTP; is the port right\?\n$/)
  })

  test.each([
    [['check', 'ftp://127.0.0.1'], /ftp:\/\/127.0.0.1 is no address/],
    [['check', '--timeout', 'soon'], /must be a number of seconds/],
  ])('refuses %j', async (args, message) => {
    const { code, stderr } = await ticketflow(args)
    expect(code).toBe(1)
    expect(stderr).toMatch(message)
    expect(stderr).not.toMatch(STACK)
  })
})
