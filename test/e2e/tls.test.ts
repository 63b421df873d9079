import { generateKeyPairSync } from 'node:crypto'
import { rename, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { Agent, request, type RequestOptions } from 'node:https'
import { connect as connectPlain, type Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { connect, type ConnectionOptions, type DetailedPeerCertificate } from 'node:tls'

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import { certificate, type Certified } from '../certificates.ts'
import { ticketflow } from '../cli.ts'
import { discard, startTestServer, temporaryDirectory, type TestServer } from '../server.ts'
import { exchange, httpRequest } from '../wire.ts'

const HERE = { names: ['localhost', '127.0.0.1'] }
const TICKET = JSON.stringify({ title: 'a', description: 'b' })

let folder: string
beforeAll(async () => {
  folder = await temporaryDirectory()
})
afterAll(() => rm(folder, { recursive: true, force: true }))

let servers: TestServer[] = []
afterEach(async () => {
  await Promise.all(servers.map(discard))
  servers = []
})

async function start(env: Record<string, string>): Promise<TestServer> {
  const server = await startTestServer(env)
  servers.push(server)
  return server
}

let files = 0
/** Writes such a pair, and says where in the settings' own names. */
async function written({ cert, key }: Certified, name = `pair-${(files += 1)}`) {
  const paths = { TICKETFLOW_TLS_CERT: join(folder, `${name}.crt`), TICKETFLOW_TLS_KEY: join(folder, `${name}.key`) }
  await writeFile(paths.TICKETFLOW_TLS_CERT, cert)
  await writeFile(paths.TICKETFLOW_TLS_KEY, key)
  return paths
}

type Ask = RequestOptions & { body?: string }

async function ask(url: string, { body, ...options }: Ask) {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const sent = request(url, { agent: false, ...options }, resolve)
  sent.on('error', reject)
  sent.end(body)
  const response = await promise
  return { status: response.statusCode, headers: response.headers, text: await text(response) }
}

/** What a handshake came to. */
function greet(url: string, options: ConnectionOptions) {
  const { port } = new URL(url)
  const { promise, resolve } = Promise.withResolvers<
    { protocol: string; alpn: unknown; fingerprint: string } | string
  >()
  const socket = connect({ host: '127.0.0.1', port: Number(port), ...options }, () => {
    const peer: DetailedPeerCertificate = socket.getPeerCertificate(true)
    resolve({ protocol: socket.getProtocol() ?? '', alpn: socket.alpnProtocol, fingerprint: peer.fingerprint256 })
    socket.destroy()
  })
  socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  return promise
}

describe('a server with a certificate', () => {
  test('takes tickets by TLS, in HTTP/1.1, from version 1.2 on', async () => {
    const pair = certificate('localhost', HERE)
    const server = await start(await written(pair))
    expect(server.url).toMatch(/^https:/)
    const made = await ask(server.webhook, { ca: pair.cert, method: 'POST', body: TICKET })
    expect([made.status, JSON.parse(made.text).title]).toEqual([200, 'a'])

    const seen = await greet(server.url, { ca: pair.cert, ALPNProtocols: ['h2', 'http/1.1'] })
    expect(seen).toMatchObject({ protocol: 'TLSv1.3', alpn: 'http/1.1' })
    expect(await greet(server.url, { ca: pair.cert, maxVersion: 'TLSv1.2' })).toMatchObject({ protocol: 'TLSv1.2' })
    const old = { ca: pair.cert, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' } as const
    expect(await greet(server.url, old)).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')
    const weak = {
      ca: pair.cert,
      maxVersion: 'TLSv1.2',
      ciphers: 'ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA256',
    } as const
    expect(await greet(server.url, weak)).toMatch(/HANDSHAKE_FAILURE/)
  })

  test('tells browsers to keep to TLS, but not for the names of this machine', async () => {
    const pair = certificate('localhost', HERE)
    const server = await start({ ...(await written(pair)), TICKETFLOW_ADMIN_KEY: 'k'.repeat(32) })
    const hsts = async (headers: Record<string, string>, path = '/livez') =>
      (await ask(server.url + path, { ca: pair.cert, servername: 'localhost', headers })).headers[
        'strict-transport-security'
      ]
    expect(await hsts({ host: 'tickets.example.com' })).toBe('max-age=31536000')
    expect(await hsts({ host: 'tickets.example.com' }, '/nowhere')).toBe('max-age=31536000')
    for (const host of ['localhost:8443', '127.0.0.1', '[::1]:8443']) expect(await hsts({ host })).toBeUndefined()
    const plain = await start({ TICKETFLOW_ADMIN_KEY: 'k'.repeat(32) })
    const response = await fetch(`${plain.url}/livez`)
    expect(response.headers.has('strict-transport-security')).toBe(false)
  })

  test('closes what does not speak TLS, without a word and without harm', async () => {
    const pair = certificate('localhost', HERE)
    const server = await start(await written(pair))
    const plain = server.url.replace('https', 'http')
    for (const bytes of [
      httpRequest({ body: TICKET }),
      Buffer.from('16030100f1010000ed0303', 'hex').fill(0xff, 5),
      'x'.repeat(5000),
    ]) {
      const { closed, answers } = await exchange(plain, bytes)
      expect({ closed, answers }).toEqual({ closed: true, answers: [] })
    }
    expect((await ask(server.webhook, { ca: pair.cert, method: 'POST', body: TICKET })).status).toBe(200)
    expect(server.output()).not.toMatch(/"level":[56]0/)
  })

  test('takes a renewed one without a restart, and keeps the old one until the new pair is whole', async () => {
    const [first, second] = [certificate('localhost', HERE), certificate('localhost', HERE)]
    const paths = await written(first)
    const server = await start(paths)
    const fingerprint = async () => {
      const seen = await greet(server.url, { rejectUnauthorized: false })
      return typeof seen === 'string' ? seen : seen.fingerprint
    }
    const until = async (condition: () => boolean | Promise<boolean>) => {
      for (let tries = 0; tries < 100; tries += 1) {
        if (await condition()) return
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      expect.fail('it did not come about in ten seconds')
    }
    const before = await fingerprint()
    // As certbot does: one file after the other, each put in the place of the old one.
    await writeFile(`${paths.TICKETFLOW_TLS_CERT}.new`, second.cert)
    await rename(`${paths.TICKETFLOW_TLS_CERT}.new`, paths.TICKETFLOW_TLS_CERT)
    await until(() => server.output().includes('cannot be renewed'))
    expect(await fingerprint()).toBe(before)
    await writeFile(`${paths.TICKETFLOW_TLS_KEY}.new`, second.key)
    await rename(`${paths.TICKETFLOW_TLS_KEY}.new`, paths.TICKETFLOW_TLS_KEY)
    await until(async () => (await fingerprint()) !== before)
    expect((await ask(server.webhook, { ca: second.cert, method: 'POST', body: TICKET })).status).toBe(200)
    expect(await server.stop()).toBe(0)
    expect(server.output().match(/cannot be renewed/g)).toHaveLength(1)
    expect(server.output()).toContain('was read anew')
    expect(server.output()).not.toContain('PRIVATE KEY')
  })

  test('with an expired one starts, and warns', async () => {
    const pair = certificate('localhost', { ...HERE, days: -3 })
    const server = await start(await written(pair))
    expect(await greet(server.url, { ca: pair.cert })).toBe('CERT_HAS_EXPIRED')
    expect(await server.stop()).toBe(0)
    expect(server.output()).toMatch(/"level":40.*The certificate expired on \d{4}-\d\d-\d\d: senders will refuse it/)
  })

  test('bounds its connections before and after the handshake', async () => {
    const pair = certificate('localhost', HERE)
    const server = await start({ ...(await written(pair)), TICKETFLOW_ADDRESS_CONNECTIONS: '5' })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const send = async () => (await ask(server.webhook, { agent, ca: pair.cert, method: 'POST', body: TICKET })).status
    expect(await send()).toBe(200)
    const port = Number(new URL(server.url).port)
    const open = (at: (to: { host: string; port: number; ca: string }) => Socket) =>
      new Promise<Socket>((resolve) => {
        const socket = at({ host: '127.0.0.1', port, ca: pair.cert })
        socket.on('error', () => {})
        socket.once(at === connect ? 'secureConnect' : 'connect', () => resolve(socket))
        socket.once('close', () => resolve(socket))
      })
    const idle: Socket[] = []
    for (let count = 0; count < 10; count += 1) idle.push(await open(connect), await open(connectPlain))
    expect(await send()).toBe(200)
    const { text: metrics } = await ask(`${server.url}/metrics`, { agent, ca: pair.cert })
    expect(metrics).toMatch(/^ticketflow_connections_closed_total\{why="address"\} 16$/m)
    for (const socket of idle) socket.destroy()
    agent.destroy()
  })

  test('that asks for its clients’ certificates takes those of its own authority alone', async () => {
    const pair = certificate('localhost', HERE)
    const authority = certificate('our senders')
    const clientCa = join(folder, 'clients.crt')
    await writeFile(clientCa, authority.cert)
    const server = await start({ ...(await written(pair)), TICKETFLOW_TLS_CLIENT_CA: clientCa })
    const send = async (client: Partial<Certified>) =>
      ask(server.webhook, { ca: pair.cert, method: 'POST', body: TICKET, ...client }).then(
        ({ status }) => status,
        ({ code }) => code,
      )
    const { cert, key } = certificate('zendesk', { issuer: authority })
    expect(await send({ cert, key })).toBe(200)
    const stranger = certificate('zendesk', { issuer: certificate('our senders') })
    for (const client of [{}, { cert: stranger.cert, key: stranger.key }, { cert: pair.cert, key: pair.key }]) {
      expect(await send(client)).toMatch(/^(ERR_SSL_|ECONNRESET|EPIPE)/)
    }
    const { stdout } = await ticketflow(['doctor', '--json'], {
      ...(await written(pair)),
      TICKETFLOW_TLS_CLIENT_CA: clientCa,
      TICKETFLOW_DATA_DIR: server.dataDir,
      PORT: new URL(server.url).port,
    })
    expect(JSON.parse(stdout).findings.at(-1)).toMatchObject({ name: 'port', state: 'ok' })
  })
})

describe('a pair that cannot be used ends the start with a line that says why', () => {
  const good = certificate('localhost', HERE)
  const locked = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' },
  })
  test.each<[string, () => Promise<Record<string, string>>, RegExp]>([
    ['the certificate alone', async () => ({ TICKETFLOW_TLS_CERT: '/a.crt' }), /go together: set both/],
    ['the key alone', async () => ({ TICKETFLOW_TLS_KEY: '/a.key' }), /go together: set both/],
    ['the clients’ authority alone', async () => ({ TICKETFLOW_TLS_CLIENT_CA: '/a.crt' }), /CLIENT_CA needs/],
    [
      'a file that is not there',
      async () => ({ ...(await written(good)), TICKETFLOW_TLS_CERT: join(folder, 'none.crt') }),
      /TICKETFLOW_TLS_CERT cannot be read: ENOENT.*none\.crt/,
    ],
    ['a certificate that is none', () => written({ ...good, cert: 'hello' }), /holds no certificate in PEM/],
    ['a key that is none', () => written({ ...good, key: 'hello' }), /holds no private key in PEM/],
    ['a key that is locked', () => written({ ...good, key: locked.privateKey }), /locked with a passphrase/],
    [
      'the key of another certificate',
      () => written({ ...good, key: certificate('x').key }),
      /^ticketflow: The key in .* is not that of the certificate in /,
    ],
    [
      'an authority that is none',
      async () => {
        const paths = await written(good)
        return { ...paths, TICKETFLOW_TLS_CLIENT_CA: paths.TICKETFLOW_TLS_KEY }
      },
      /TICKETFLOW_TLS_CLIENT_CA: .* holds no certificate/,
    ],
  ])('%s', async (_name, env, line) => {
    const { code, stderr } = await ticketflow(['serve'], {
      ...(await env()),
      PORT: '0',
      TICKETFLOW_DATA_DIR: join(folder, 'data'),
    })
    expect({ code, lines: stderr.trim().split('\n').length }).toEqual({ code: 1, lines: 1 })
    expect(stderr).toMatch(line)
    expect(stderr).not.toContain('PRIVATE')
  })
})

test('check and doctor speak TLS; check trusts whom the machine trusts, and nobody else', async () => {
  const pair = certificate('localhost', HERE)
  const paths = await written(pair)
  const server = await start(paths)
  const trusting = await ticketflow(['check', server.url], { NODE_EXTRA_CA_CERTS: paths.TICKETFLOW_TLS_CERT })
  expect([trusting.code, trusting.stdout.includes('20 of 20 checks passed')]).toEqual([0, true])
  const wary = await ticketflow(['check', server.url])
  expect([wary.code, wary.stderr.includes('NODE_EXTRA_CA_CERTS=file.pem')]).toEqual([1, true])
  const plain = await ticketflow(['check', server.url.replace('https', 'http')])
  expect([plain.code, plain.stderr.includes('give its address with https://')]).toEqual([1, true])

  const doctor = async (env: Record<string, string>) => {
    const { stdout } = await ticketflow(['doctor', '--json'], {
      PORT: new URL(server.url).port,
      TICKETFLOW_DATA_DIR: server.dataDir,
      ...env,
    })
    return (name: string) => JSON.parse(stdout).findings.find((finding: { name: string }) => finding.name === name)
  }
  const well = await doctor(paths)
  expect(well('certificate')).toMatchObject({
    state: 'ok',
    found: expect.stringContaining('localhost, 127.0.0.1, until '),
  })
  expect(well('port')).toMatchObject({ state: 'ok', found: expect.stringContaining("running server's") })
  const old = await doctor(await written(certificate('localhost', { days: 3 })))
  expect(old('certificate')).toMatchObject({ state: 'warn', found: expect.stringContaining('in 2 days') })
  const broken = await doctor({ ...paths, TICKETFLOW_TLS_KEY: paths.TICKETFLOW_TLS_CERT })
  expect(broken('certificate')).toMatchObject({ state: 'fail', advice: expect.stringContaining('no private key') })
})
