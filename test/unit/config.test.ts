import { describe, expect, test } from 'vitest'
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
    HOST: '0.0.0.0',
    TICKETFLOW_LOG_LEVEL: 'loud',
    TICKETFLOW_RETENTION_DAYS: '1',
    TICKETFLOW_BODYLIMIT: '5',
  })
  expect(faults).toHaveLength(5)
  for (const name of ['PORT', 'HOST', 'TICKETFLOW_LOG_LEVEL', 'TICKETFLOW_RETENTION_DAYS', 'TICKETFLOW_BODYLIMIT']) {
    expect(faults.join('\n')).toContain(name)
  }
})

describe('HOST', () => {
  test.each(['127.0.0.1', '127.1.2.3', '::1', 'localhost'])('%s is taken', (host) => {
    expect(faultsOf({ HOST: host })).toEqual([])
  })
  test.each(['0.0.0.0', '::', '192.168.1.5', 'example.com'])('%s is refused while there are no keys', (host) => {
    expect(faultsOf({ HOST: host })).toEqual([expect.stringContaining('HOST')])
  })
})
