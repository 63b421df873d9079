import { afterAll, beforeAll, expect, test } from 'vitest'

import { ask, bearer } from '../ask.ts'
import { run as runProgram } from '../cli.ts'
import { discard, startTestServer, type TestServer } from '../server.ts'

const ADMIN = 'k'.repeat(40)
const LONG = { timeout: 240_000 }
const COMMAND_MS = 60_000

let server: TestServer
let reader: string
beforeAll(async () => {
  // However slow the machine is: none of this is to be refused for it.
  server = await startTestServer({ TICKETFLOW_ADMIN_KEY: ADMIN, TICKETFLOW_MAX_LOOP_DELAY_MS: '0' })
  const made = await asAdmin('/api/keys', { method: 'POST', body: { name: 'reader', scopes: ['read'] } })
  expect(made.status).toBe(201)
  reader = made.json.secret
  for (let n = 1; n <= 4; n += 1) {
    await asAdmin('/api/integrations/webhook', { method: 'POST', body: { title: `T ${n}`, description: 'd' } })
  }
}, 120_000)
afterAll(() => discard(server))

const asAdmin = (path: string, request: Parameters<typeof ask>[1] = {}) =>
  ask(server.url + path, { ...request, headers: bearer(ADMIN) })
const asReader = (path: string, request: Parameters<typeof ask>[1] = {}) =>
  ask(server.url + path, { ...request, headers: bearer(reader) })
const ticketflow = (args: string[], env: Record<string, string> = {}) =>
  runProgram(process.execPath, ['bin/ticketflow.js', ...args], env, COMMAND_MS)
const run = (...args: string[]) => ticketflow(['jobs', ...args, '--url', server.url, '--key', ADMIN])

test('each new ticket has a job, which waits while nobody works its kind', LONG, async () => {
  const first = await asReader('/api/jobs?limit=3')
  const rest = await asReader(`/api/jobs?limit=3&cursor=${first.json.next}`)
  const jobs = [...first.json.jobs, ...rest.json.jobs]
  expect(jobs.map((job) => job.ticket_id)).toEqual([4, 3, 2, 1])
  expect(rest.json.next).toBeNull()
  expect(jobs[0]).toEqual({
    id: 4,
    kind: 'triage',
    state: 'waiting',
    ticket_id: 4,
    payload: { ticket_id: 4 },
    attempts: 0,
    max_attempts: 10,
    run_at: expect.stringMatching(/^\d{4}-.*Z$/),
    last_error: null,
  })
  expect((await asReader('/api/jobs?state=dead')).json).toEqual({ jobs: [], next: null })
  expect((await asReader('/api/jobs?kind=none')).json).toEqual({ jobs: [], next: null })
})

test.each([
  { path: '/api/jobs?state=lost', status: 400 },
  { path: '/api/jobs?limit=100000', status: 400 },
  { path: '/api/jobs?cursor=x', status: 400 },
  { path: `/api/jobs?kind=${'x'.repeat(101)}`, status: 400 },
  { path: '/api/jobs/999/retry', method: 'POST', status: 404 },
  { path: '/api/jobs/x/retry', method: 'POST', status: 400 },
  { path: '/api/jobs/9007199254740991', method: 'DELETE', status: 404 },
  { path: '/api/jobs/9007199254740993', method: 'DELETE', status: 400 },
  { path: '/api/jobs/retry', method: 'POST', status: 400 },
  { path: '/api/jobs/retry?kind=none', method: 'POST', status: 200 },
])('$method $path is answered with $status', LONG, async ({ path, method = 'GET', status }) => {
  expect(await asAdmin(path, { method })).toMatchObject({ status })
})

test.each([
  ['/api/jobs/1/retry', 'POST'],
  ['/api/jobs/retry?kind=triage', 'POST'],
  ['/api/jobs/1', 'DELETE'],
])('who may only read is refused at %s', LONG, async (path, method) => {
  expect((await asReader(path, { method })).status).toBe(403)
  expect((await ask(server.url + path, { method })).status).toBe(401)
})

test('a job is discarded, and its ticket stays; the command line says the same', LONG, async () => {
  expect((await asAdmin('/api/jobs/1', { method: 'DELETE' })).status).toBe(204)
  expect((await asAdmin('/api/jobs/1', { method: 'DELETE' })).status).toBe(404)
  expect((await asAdmin('/api/tickets/1')).status).toBe(200)
  const listed = await run('list', '--json')
  expect(JSON.parse(listed.stdout).jobs.map(({ id }: { id: number }) => id)).toEqual([4, 3, 2])
  expect(await run('discard', '2', '--json')).toMatchObject({ code: 0, stdout: expect.stringContaining('"ok": true') })
  expect((await run('list')).stdout).toMatch(/^ok +3 +triage +waiting +3 +0 of 10 /m)
  expect(await run('discard', '2')).toMatchObject({ code: 1, stderr: 'ticketflow: No job 2\n' })
  expect(await run('retry', '--kind', 'triage', '--json')).toMatchObject({ code: 0, stdout: '{\n  "retried": 0\n}\n' })
  expect(await run('retry')).toMatchObject({ code: 1, stderr: expect.stringContaining('Name one job, or a kind') })
})

test('jobs are measured by kind and state, and what is done every hour by how it ended', LONG, async () => {
  const left = (await asReader('/api/jobs')).json.jobs.length
  // Where the store is slow to tell, the figures of the time before stand.
  const metrics = async () => (await asReader('/metrics')).json
  await expect.poll(metrics, { timeout: 30_000 }).toContain(`ticketflow_jobs{kind="triage",state="waiting"} ${left}`)
  const text = await metrics()
  expect(text).toContain('ticketflow_jobs{kind="triage",state="dead"} 0')
  expect(text).toMatch(/^ticketflow_jobs_oldest_seconds\{kind="triage"\} \d/m)
  expect(text).toContain('ticketflow_job_runs_total{kind="housekeeping",outcome="done"} 1')
  const top = await ticketflow(['top', '--once', '--url', server.url, '--key', ADMIN])
  expect(top.stdout).toMatch(new RegExp(`^jobs +[\\d.]+/s +waiting ${left} `, 'm'))
})

test.each(['intake', 'worker'])(
  'the role %s is refused where no other node can share the store',
  LONG,
  async (role) => {
    const env = { TICKETFLOW_DATA_DIR: `${server.dataDir}-none` }
    const fault = { code: 1, stderr: expect.stringContaining('set DATABASE_URL') }
    expect(await ticketflow(['serve', '--role', role], env)).toMatchObject(fault)
    expect(await ticketflow(['serve'], { ...env, TICKETFLOW_ROLE: role })).toMatchObject(fault)
  },
)
