import { expect, test } from 'vitest'
import { ConfigError, readConfig } from '../../src/config.ts'

const faultsOf = (env: Record<string, string>): string[] => {
  try {
    readConfig(env)
    return []
  } catch (error) {
    return error instanceof ConfigError ? error.faults : [String(error)]
  }
}

test('presets are those of the documentation', () => {
  expect(readConfig({})).toMatchObject({
    host: '127.0.0.1',
    port: 8000,
    logLevel: 'info',
    bodyLimit: 1_048_576,
    retentionDays: 30,
  })
})

test('a variable that is set to nothing counts as not set', () => {
  expect(readConfig({ PORT: '', TICKETFLOW_LOG_LEVEL: '' })).toMatchObject({ port: 8000, logLevel: 'info' })
})

test('all faults are reported at once, in words that name the variable', () => {
  const faults = faultsOf({
    PORT: 'eighty',
    TICKETFLOW_ADMIN_KEY: 'short',
    TICKETFLOW_LOG_LEVEL: 'loud',
    TICKETFLOW_RETENTION_DAYS: '1',
    TICKETFLOW_BODYLIMIT: '5',
  })
  expect(faults).toHaveLength(5)
  for (const name of [
    'PORT',
    'TICKETFLOW_ADMIN_KEY',
    'TICKETFLOW_LOG_LEVEL',
    'TICKETFLOW_RETENTION_DAYS',
    'TICKETFLOW_BODYLIMIT',
  ]) {
    expect(faults.join('\n')).toContain(name)
  }
})

test.each(['127.0.0.1', '::1', 'localhost', '0.0.0.0', '192.168.1.5'])('the server may listen on %s', (host) => {
  expect(faultsOf({ HOST: host })).toEqual([])
})

test('an admin key is long enough not to be guessed, and is not shown when it is not', () => {
  expect(readConfig({ TICKETFLOW_ADMIN_KEY: 'k'.repeat(32) }).adminKey).toBe('k'.repeat(32))
  expect(readConfig({}).adminKey).toBeNull()
  for (const key of ['hunter2', 'with spaces '.repeat(4), 'x'.repeat(201)]) {
    expect(faultsOf({ TICKETFLOW_ADMIN_KEY: key }).join()).toMatch(/^TICKETFLOW_ADMIN_KEY must have/)
    expect(faultsOf({ TICKETFLOW_ADMIN_KEY: key }).join()).not.toContain(key)
  }
})

test('trusted proxies are addresses and networks, none unless set', () => {
  expect(readConfig({}).trustedProxies).toEqual([])
  expect(readConfig({ TICKETFLOW_TRUSTED_PROXIES: '10.0.0.0/8, ::1' }).trustedProxies).toEqual(['10.0.0.0/8', '::1'])
  for (const list of ['proxy.example', '10.0.0.0/33', '10.0.0.1;::1']) {
    expect(faultsOf({ TICKETFLOW_TRUSTED_PROXIES: list }).join()).toContain('TICKETFLOW_TRUSTED_PROXIES')
  }
})

test('the address of a database is one of PostgreSQL, and is not shown when it is not', () => {
  expect(readConfig({})).toMatchObject({ databaseUrl: null, nodeId: null, databaseConnections: 10 })
  for (const url of ['postgres://u:p@db:5432/t?sslmode=require', 'postgresql://db/t', 'postgres:///t?host=/run/pg']) {
    expect(readConfig({ DATABASE_URL: url }).databaseUrl).toBe(url)
  }
  for (const url of ['mysql://u:hunter2@db/t', 'hunter2']) {
    expect(faultsOf({ DATABASE_URL: url }).join()).toMatch(/^DATABASE_URL must be/)
    expect(faultsOf({ DATABASE_URL: url }).join()).not.toContain('hunter2')
  }
  expect(faultsOf({ TICKETFLOW_NODE_ID: 'a b' })).toHaveLength(1)
})
