import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { isNetwork, networkMatcher } from '../../src/core/network.ts'
import { createLimits } from '../../src/intake/limits.ts'
import { loadPlatforms } from '../../src/intake/platforms.ts'
import { createSources } from '../../src/intake/sources.ts'
import { openVault } from '../../src/intake/vault.ts'
import type { SourceStore } from '../../src/store/store.ts'

describe('a network', () => {
  test.each([
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['192.0.2.7', '192.0.2.7', true],
    ['192.0.2.7', '192.0.2.8', false],
    ['10.0.0.0/8', '::ffff:10.1.2.3', true],
    ['2001:db8::/32', '2001:db8:1::5', true],
    ['2001:db8::/32', '2001:db9::5', false],
    ['2001:db8::/32', '10.0.0.1', false],
    ['::/0', '10.0.0.1', false],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['10.0.0.0/8', '', false],
    ['10.0.0.0/8', 'nonsense', false],
  ])('%s and %s: %s', (network, address, isIn) => {
    expect(networkMatcher([network])(address)).toBe(isIn)
  })

  test.each([
    ['10.0.0.0/8', true],
    ['10.0.0.0/33', false],
    ['::1', true],
    ['2001:db8::/129', false],
    ['example.com', false],
    ['10.0.0.0/', false],
    ['', false],
  ])('%s is one: %s', (text, isOne) => {
    expect(isNetwork(text)).toBe(isOne)
  })
})

describe('the vault', () => {
  let directory: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'ticketflow-vault-'))
  })
  afterEach(() => rm(directory, { recursive: true, force: true }))

  test('opens what it sealed, also when it is opened again, and seals nothing twice the same', () => {
    const sealed = openVault(directory, null).seal('the secret', 'source a')
    expect(openVault(directory, null).open(sealed, 'source a')).toBe('the secret')
    expect(openVault(directory, null).seal('the secret', 'source a')).not.toBe(sealed)
    expect(sealed).not.toContain(Buffer.from('the secret').toString('base64url'))
  })

  test('opens nothing that belongs to another, was changed, or was sealed by another key', () => {
    const vault = openVault(directory, null)
    const sealed = vault.seal('the secret', 'source a')
    expect(() => vault.open(sealed, 'source b')).toThrow(/sealed with another key/)
    for (let place = 0; place < sealed.length; place += 1) {
      const other = sealed[place] === 'A' ? 'B' : 'A'
      const changed = sealed.slice(0, place) + other + sealed.slice(place + 1)
      // The last character holds fewer bits than it could.
      if (Buffer.from(changed, 'base64url').equals(Buffer.from(sealed, 'base64url'))) continue
      expect(() => vault.open(changed, 'source a')).toThrow(/sealed with another key/)
    }
    expect(() => openVault(directory, 'another key '.repeat(4)).open(sealed, 'source a')).toThrow(/another key/)
    expect(() => vault.open('', 'source a')).toThrow(/another key/)
  })

  test('keeps its key to its owner, and says when the file holds none', async () => {
    openVault(directory, null)
    const path = join(directory, 'secret.key')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    const key = await readFile(path, 'utf8')
    openVault(directory, null)
    expect(await readFile(path, 'utf8')).toBe(key)
    await writeFile(path, 'short')
    expect(() => openVault(directory, null)).toThrow(/secret.key does not hold a key of 32 bytes/)
  })
})

describe('bodies of deliveries that nobody proved', () => {
  test('are kept within a bound for each source, which time gives back', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'ticketflow-vault-'))
    const store = { sources: async () => [], onSourcesChanged: () => () => {} } as unknown as SourceStore
    const sources = await createSources({
      store,
      platforms: await loadPlatforms(),
      vault: openVault(directory, null),
      limits: createLimits({ perAddress: null, perKey: null }),
      onError: (error) => expect.unreachable(String(error)),
    })
    const kept = Array.from({ length: 1500 }, () => sources.mayKeep('a', 10, 1000)).filter(Boolean)
    expect(kept).toHaveLength(1000)
    expect(sources.mayKeep('b', 33_000_000, 1000)).toBe(true)
    expect(sources.mayKeep('b', 1_000_000, 1000)).toBe(false)
    expect(sources.mayKeep('a', 10, 1000 + 3_600_001)).toBe(true)
    await rm(directory, { recursive: true, force: true })
  })
})
