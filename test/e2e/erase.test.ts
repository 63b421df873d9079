import { spawn } from 'node:child_process'
import { randomInt, randomUUID } from 'node:crypto'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, expect, test } from 'vitest'
import { storePath } from '../../src/store/sqlite-files.ts'
import { ticketflow } from '../cli.ts'
import { recorded } from '../fixtures.ts'
import { discard, ROOT, startTestServer, temporaryDirectory, type TestServer } from '../server.ts'

const ADDRESS = 'anna.secret@person.example'
const SPELLED = 'Anna.Secret@Person.Example'
const KEY = 'k'.repeat(40)

let server: TestServer | undefined
afterEach(async () => {
  await discard(server)
  server = undefined
})

async function ask(url: string, options: { method?: string; body?: string | Uint8Array; headers?: object } = {}) {
  const { method = options.body === undefined ? 'GET' : 'POST', body, headers } = options
  const init = { method, headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json', ...headers } }
  const response = await fetch(url, body === undefined ? init : { ...init, body })
  const text = await response.text()
  return { status: response.status, text, json: JSON.parse(text) }
}

const start = (directory?: string) =>
  startTestServer({
    TICKETFLOW_ADMIN_KEY: KEY,
    ...(directory === undefined ? {} : { TICKETFLOW_DATA_DIR: directory }),
  })
const erase = (directory: string, ...args: string[]) =>
  ticketflow(['erase', '--email', ADDRESS.toUpperCase(), ...args], { TICKETFLOW_DATA_DIR: directory })
const verify = async (directory: string, ...args: string[]) =>
  JSON.parse((await ticketflow(['audit', 'verify', '--json', ...args], { TICKETFLOW_DATA_DIR: directory })).stdout)

/** Every spelling that was planted, as it would lie in a file. */
const SPELLINGS = [
  ADDRESS,
  ADDRESS.replace('@', '%40'),
  ADDRESS.replace('@', String.raw`\u0040`),
  [...ADDRESS].join('\0'),
  Buffer.from(ADDRESS).toString('hex'),
  Buffer.from(`mail me: ${SPELLED}`).toString('base64').slice(12, 40),
].map((text) => text.toLowerCase())

/** Which files hold it, by all of their bytes. */
async function filesWith(directory: string): Promise<string[]> {
  const found: string[] = []
  for (const name of await readdir(directory)) {
    const text = (await readFile(join(directory, name))).toString('latin1').toLowerCase()
    found.push(...SPELLINGS.filter((spelling) => text.includes(spelling)).map((spelling) => `${name}: ${spelling}`))
  }
  return found
}

const form = (fields: Record<string, string>) => ({
  body: new URLSearchParams(fields).toString(),
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
})

function multipart(value: Uint8Array, type: string) {
  const head = (name: string, more = '') => `--b\r\nContent-Disposition: form-data; name="${name}"\r\n${more}\r\n`
  const parts = [
    head('title'),
    'parts\r\n',
    head('description', `Content-Type: ${type}\r\n`),
    value,
    '\r\n--b--\r\n',
  ].map((part) => Buffer.from(part))
  return { body: Buffer.concat(parts), headers: { 'content-type': 'multipart/form-data; boundary=b' } }
}

const changed = (own: object) => ({ ...own, title: 'no name', customer_email: undefined, user_id: 'u1' })
const firstBody = (own: object) => JSON.stringify({ ...own, metadata: { who: { mail: ADDRESS, other: 'x' } } })

/** The address in everything that is stored; and what others have. Answers with the tickets to look at afterwards. */
async function plant({ url, webhook, dataDir }: TestServer) {
  const send = async (body: object | string, headers = {}) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    return (await ask(webhook, { body: text, headers })).json.id as number
  }
  const own = {
    id: 'order-1',
    platform: 'shop',
    title: `From ${SPELLED}`,
    description: 'leaks',
    customer_email: SPELLED,
  }
  const mine = await send(firstBody(own))
  await ask(`${url}/api/tickets/${mine}`, { method: 'PATCH', body: '{"status":"pending"}' })
  await send({ ...own, description: `again ${ADDRESS.toUpperCase()}`, metadata: { who: { mail: `<${ADDRESS}>` } } })
  await send(changed(own))

  const mail = recorded('postmark-inbound')
  const letter = mail.raw_body.replaceAll('ines@example.org', SPELLED)
  const first = await send(letter)
  const answer = JSON.parse(letter)
  answer.MessageID = randomUUID()
  answer.Headers = [
    { Name: 'Message-ID', Value: '<2@x.example>' },
    { Name: 'In-Reply-To', Value: '<PM-31@mail.example.org>' },
  ]
  answer.TextBody = `It was me, ${ADDRESS}.`
  await send(answer)

  await ask(webhook, { body: JSON.stringify({ note: ADDRESS }) }) // refused
  const keyed = { title: 'keyed', description: 'd' }
  for (let times = 0; times < 2; times += 1) await send(keyed, { 'idempotency-key': `for-${ADDRESS}-1` })
  const batch = [
    { title: 'a', description: 'd', customer_email: ADDRESS },
    { title: 'bystander', description: 'd', id: 'b-1', platform: 'shop' },
    {},
  ]
  await ask(`${webhook}/batch`, { body: JSON.stringify(batch) })
  await send({ title: 'by header', description: 'd' }, { 'x-customer': SPELLED })
  await ask(`${webhook}?customer=${encodeURIComponent(ADDRESS)}`, { body: '{"title":"by query","description":"d"}' })
  const glued = await send({ title: 'glued', description: 'd', id: `acct-${ADDRESS}-7`, platform: 'shop' })
  await send(`{"title":"escaped","description":"d ${SPELLED.replace('@', String.raw`\u0040`)}"}`)
  await ask(webhook, form({ title: 'form', description: `write ${SPELLED}` }))
  const encoded = Buffer.from(`mail me: ${SPELLED}`).toString('base64')
  await send({ title: 'base64', description: encoded })
  await ask(webhook, multipart(Buffer.from(`mail me: ${SPELLED}`, 'utf16le'), 'text/plain; charset=utf-16le'))

  const zendesk = recorded('zendesk-comment-added-event')
  const mentioned = await send({
    title: 'others',
    description: `Ask ${SPELLED} about it.`,
    customer_email: 'bob@person.example',
    id: 'o-1',
    platform: 'shop',
  })
  const comment = JSON.parse(zendesk.raw_body)
  comment.event.comment.body = `Call ${SPELLED} back`
  const commented = await send(comment)
  const alike = await send({
    title: 'alike',
    description: 'Of joanna.secret@person.example',
    customer_email: `jo${ADDRESS}`,
    id: 'j-1',
    platform: 'shop',
  })
  const quiet = await send({
    title: 'quiet',
    description: 'Nothing to see',
    customer_email: 'bob@person.example',
    id: 'q-1',
    platform: 'shop',
  })
  await ask(`${url}/api/keys`, { body: JSON.stringify({ name: `for ${ADDRESS}`, scopes: ['read'] }) })
  const forms = ['sources', 'create', 'forms', '--name', `forms of ${ADDRESS}`]
  expect(await ticketflow(forms, { TICKETFLOW_DATA_DIR: dataDir })).toMatchObject({ code: 0 })
  await writeFile(join(dataDir, 'tickets.db.1.partial'), ADDRESS)
  return { own, mine, first, glued, mentioned, commented, alike, quiet }
}

const ticket = async (one: TestServer, id: number) => (await ask(`${one.url}/api/tickets/${id}`)).text
const timeline = async (one: TestServer, id: number) =>
  (await ask(`${one.url}/api/tickets/${id}/timeline`)).json.timeline
const found = async (one: TestServer, q: string) =>
  (await ask(`${one.url}/api/tickets?q=${encodeURIComponent(q)}`)).json.tickets

/** What holds after an erasure, whoever did it. */
async function assertErased(one: TestServer, planted: Awaited<ReturnType<typeof plant>>) {
  const { mine, first, mentioned, commented } = planted
  expect(JSON.parse(await ticket(one, mine))).toMatchObject({
    id: mine,
    title: '[erased]',
    description: '[erased]',
    status: 'pending',
    user_id: null,
    user_email: null,
    ticket_metadata: { platform: 'shop', external_id: 'order-1' },
  })
  const lines = await timeline(one, mine)
  expect(lines.at(-1)).toMatchObject({ kind: 'erased', actor: 'command line', delivery_id: null })
  expect(lines).toContainEqual(expect.objectContaining({ changes: { status: { from: 'new', to: 'pending' } } }))
  expect((await timeline(one, first)).flatMap((line: { comment: unknown }) => line.comment ?? [])).toMatchObject([
    { body: '[erased]', author: null },
  ])
  expect(JSON.parse(await ticket(one, mentioned))).toMatchObject({
    title: 'others',
    description: 'Ask [erased] about it.',
    user_email: 'bob@person.example',
  })
  expect(
    (await timeline(one, commented)).flatMap((line: { comment: { body: string } | null }) => line.comment?.body ?? []),
  ).toEqual(['Call [erased] back'])
  for (const q of [ADDRESS, 'anna', 'leaks', 'Parcel']) expect(await found(one, q)).toEqual([])
  expect(await found(one, 'quiet')).toHaveLength(1)
}

test(
  'beside a running server under load: nothing is left of the person, all of the others, and the chain is whole',
  { timeout: 60_000 },
  async () => {
    server = await start()
    const one = server
    const planted = await plant(one)
    const { own, mine, glued, alike, quiet } = planted
    expect(await found(one, 'anna')).not.toEqual([])
    await expect
      .poll(() => filesWith(one.dataDir))
      .toEqual(expect.arrayContaining([expect.stringContaining('search.db')]))
    const before = await Promise.all([alike, quiet].map((id) => ticket(one, id)))
    const { stdout: checkpoint } = await ticketflow(['audit', 'checkpoint'], { TICKETFLOW_DATA_DIR: one.dataDir })

    const dry = await erase(one.dataDir, '--dry-run', '--json')
    expect([dry.code, JSON.parse(dry.stdout)]).toMatchObject([0, { dry_run: true, tickets: 3, api_keys: 1 }])
    expect(await found(one, 'leaks')).not.toEqual([])

    const load = { running: true, sent: 0, bad: [] as number[] }
    const senders = Array.from({ length: 4 }, async () => {
      while (load.running) {
        const { status } = await ask(one.webhook, { body: JSON.stringify({ title: 'load', description: 'd' }) })
        load.sent += 1
        if (status !== 200) load.bad.push(status)
      }
    })
    const live = await erase(one.dataDir, '--json')
    load.running = false
    await Promise.all(senders)
    expect(live.stderr).toBe('')
    const report = JSON.parse(live.stdout)
    expect([live.code, report]).toMatchObject([0, { ok: true, server_running: true, files: [], index_renewed: true }])
    for (const name of ['deliveries', 'tickets', 'tickets_mentioning', 'timeline_entries', 'api_keys', 'sources'])
      expect(report[name]).toBe(JSON.parse(dry.stdout)[name])
    expect([load.bad, load.sent > 0]).toEqual([[], true])

    // The one who is called nearly the same is left, and nothing else.
    expect(report.left).toEqual({ tickets: 1, deliveries: 1 })
    await assertErased(one, planted)
    expect(await Promise.all([alike, quiet].map((id) => ticket(one, id)))).toEqual(before)
    const audit = await verify(one.dataDir, '--checkpoint', checkpoint)
    expect(audit).toMatchObject({ ok: true, checkpoints_proven: 1, erased: report.deliveries })

    const again = await erase(one.dataDir, '--json')
    expect([again.code, JSON.parse(again.stdout)]).toMatchObject([
      0,
      { deliveries: 0, tickets: 0, tickets_mentioning: 0, timeline_entries: 0 },
    ])

    const back = await ask(one.webhook, {
      body: JSON.stringify({ ...own, customer_email: 'new@person.example', title: 'back' }),
    })
    expect(back.json).toMatchObject({ id: mine, title: 'back', user_email: 'new@person.example' })
    expect((await found(one, 'back')).map(({ id }: { id: number }) => id)).toEqual([mine])
    const anew = await ask(one.webhook, {
      body: JSON.stringify({ title: 'g', description: 'd', id: 'acct-7', platform: 'shop' }),
    })
    expect(anew.json.id).not.toBe(glued)
    // The very bytes that made and changed it are news again: no hash of them was kept.
    expect((await ask(one.webhook, { body: firstBody(own) })).json).toMatchObject({ id: mine, title: own.title })
    expect((await ask(one.webhook, { body: JSON.stringify(changed(own)) })).json).toMatchObject({ title: 'no name' })
    expect(await verify(one.dataDir)).toMatchObject({ ok: true })
  },
)

test(
  'in a stopped directory no byte of any file holds it, in whatever way it was written',
  { timeout: 60_000 },
  async () => {
    const first = await start()
    const planted = await plant(first)
    // Whose address ends in the same letters would be found by any search for bytes.
    await ask(`${first.webhook}`, {
      body: JSON.stringify({ title: 'x', description: 'd', id: 'j-1', platform: 'shop' }),
    })
    await first.stop()
    const { dataDir } = first
    const db = new DatabaseSync(storePath(dataDir))
    const alike = `%jo${ADDRESS}%`
    db.prepare('update tickets set user_email = null, description = ? where id = ?').run('d', planted.alike)
    db.prepare('update deliveries set body = null where body like ?').run(alike)
    db.prepare('update timeline set changes = ? where changes like ?').run('{}', alike)
    db.prepare('update deliveries set answer = null where answer like ?').run(alike)
    db.close()
    expect((await filesWith(dataDir)).length).toBeGreaterThan(5)

    const { code, stdout, stderr } = await erase(dataDir)
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^Erased:\n {2}\d+ deliveries: .*\n {2}3 tickets of the person/)
    expect(stdout).toContain('No other file of the data directory holds the address')
    expect(stdout).toContain('Not touched: backups')
    expect(await filesWith(dataDir)).toEqual([])
    expect(await readdir(dataDir)).not.toContain('tickets.db.1.partial')

    server = await start(dataDir)
    await assertErased(server, planted)
    await server.stop()
    expect(await filesWith(dataDir)).toEqual([])
  },
)

test('killed at any moment, also with the server, it finishes when it is run again', { timeout: 120_000 }, async () => {
  const directory = await temporaryDirectory()
  server = await start(directory)
  const items = Array.from({ length: 500 }, (_, index) => ({
    title: `t${index} ${SPELLED}`,
    description: 'leaks '.repeat(200),
    customer_email: index % 2 === 0 ? ADDRESS : 'bob@person.example',
    id: `k-${index}`,
    platform: 'shop',
  }))
  for (let page = 0; page < 4; page += 1)
    await ask(`${server.webhook}/batch`, { body: JSON.stringify(items.slice(page * 125, page * 125 + 125)) })
  for (const item of items)
    await ask(server.webhook, {
      body: JSON.stringify({ id: item.id, platform: 'shop', title: 'news', description: 'of a leak' }),
    })
  const db = new DatabaseSync(storePath(directory), { readOnly: true })
  const erased = () => Number(db.prepare(`select count(*) as n from timeline where kind = 'erased'`).get()?.['n'])
  const seals = () => Number(db.prepare('select count(*) as n from deliveries where seal is not null').get()?.['n'])
  const states = new Set<string>()
  for (let round = 0; round < 12; round += 1) {
    const child = spawn(process.execPath, ['bin/ticketflow.js', 'erase', '--email', ADDRESS], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], TICKETFLOW_DATA_DIR: directory },
      stdio: 'ignore',
    })
    const exited = new Promise((resolve) => child.once('exit', resolve))
    // Early rounds die soon after the first rows went, later ones whenever they are.
    const [tickets, deliveries] = [erased(), seals()]
    const until = Date.now() + 5000
    while (Date.now() < until && child.exitCode === null && erased() + seals() === tickets + deliveries)
      await new Promise((resolve) => setTimeout(resolve, 1))
    if (round >= 6) await new Promise((resolve) => setTimeout(resolve, randomInt(0, 150)))
    child.kill('SIGKILL')
    await exited
    states.add(`${seals()} ${erased()}`)
    if (round !== 7) continue
    await server.stop('SIGKILL')
    server = await start(directory)
  }
  db.close()
  expect(states.size).toBeGreaterThan(1)
  const last = await erase(directory, '--json')
  expect([last.code, JSON.parse(last.stdout)]).toMatchObject([0, { ok: true, left: {}, files: [] }])
  // Also while the server runs, and before it is asked.
  expect(await filesWith(directory)).toEqual([])
  expect(await found(server, 'anna')).toEqual([])
  expect((await timeline(server, 1)).filter(({ kind }: { kind: string }) => kind === 'erased')).toHaveLength(1)
  await server.stop()
  expect(await filesWith(directory)).toEqual([])
  expect(await verify(directory)).toMatchObject({ ok: true, deliveries: 504, erased: 254 })
})

test('waits for the running server to make its search index anew', { timeout: 60_000 }, async () => {
  server = await start()
  const { dataDir, child } = server
  await ask(server.webhook, { body: JSON.stringify({ title: 'leaks', description: 'd', customer_email: ADDRESS }) })
  await expect.poll(() => filesWith(dataDir)).toEqual(expect.arrayContaining([expect.stringContaining('search.db')]))
  child.kill('SIGSTOP')
  let isDone = false
  const erasing = erase(dataDir, '--json').finally(() => (isDone = true))
  try {
    const db = new DatabaseSync(storePath(dataDir), { readOnly: true })
    await expect
      .poll(() => db.prepare(`select 1 from timeline where kind = 'erased'`).get(), { timeout: 10_000 })
      .toBeDefined()
    db.close()
    await new Promise((resolve) => setTimeout(resolve, 2000))
    expect(isDone).toBe(false)
  } finally {
    child.kill('SIGCONT')
  }
  const { code, stdout } = await erasing
  expect([code, JSON.parse(stdout)]).toMatchObject([0, { index_renewed: true, server_running: true }])
  expect(await filesWith(dataDir)).toEqual([])
})

test('says so where there is no store, no address, or another file that still holds it', async () => {
  const empty = await temporaryDirectory()
  expect(await erase(empty)).toMatchObject({ code: 1, stderr: expect.stringContaining('There is no store in') })
  const env = { TICKETFLOW_DATA_DIR: empty }
  expect(await ticketflow(['erase', '--email', 'anna'], env)).toMatchObject({
    code: 1,
    stderr: 'ticketflow: anna is no e-mail address; give one as in --email ann@example.com\n',
  })
  const one = await start(empty)
  await one.stop()
  await writeFile(join(empty, 'tickets.db.before-restore-1'), `x${SPELLED}`)
  const held = await erase(empty)
  expect([held.code, held.stdout]).toEqual([1, expect.stringContaining('Still in tickets.db.before-restore-1: remove')])
  await rm(empty, { recursive: true })
})
