import { createHmac, generateKeyPairSync, sign } from 'node:crypto'

import { describe, expect, test } from 'vitest'

import { hmac, type SignedRequest, sharedToken, standardWebhooks } from '../../src/core/signature.ts'

const request = (
  body: string,
  headers: Record<string, string> = {},
  url = 'https://a.example/hook',
): SignedRequest => ({
  method: 'POST',
  url,
  headers,
  body: Buffer.from(body),
})

describe('signatures that their inventors published', () => {
  test('GitHub: a body under a secret', () => {
    const verify = hmac({ algorithm: 'sha256', encoding: 'hex', header: 'x-hub-signature-256', prefix: 'sha256=' })
    const signature = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'
    const sent = request('Hello, World!', { 'x-hub-signature-256': signature })
    expect(verify(sent, ["It's a Secret to Everybody"], 0)).toBeNull()
    expect(verify(sent, ['another'], 0)).toBe('mismatch')
  })

  test('Standard Webhooks: id, time and body', () => {
    const headers = {
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    }
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
    const sent = request('{"test": 2432232314}', headers)
    expect(standardWebhooks(sent, [secret], 1_614_265_330_000)).toBeNull()
    expect(standardWebhooks(sent, [secret], 1_614_265_330_000 + 299_000)).toBeNull()
    expect(standardWebhooks(sent, [secret], 1_614_265_330_000 + 301_000)).toBe('stale')
    const among = { ...headers, 'webhook-signature': `v1,b2xk v1a,eA== ${headers['webhook-signature']}` }
    expect(standardWebhooks(request('{"test": 2432232314}', among), [secret], 1_614_265_330_000)).toBeNull()
    for (const name of Object.keys(headers)) {
      const { [name as keyof typeof headers]: _left, ...fewer } = headers
      expect(standardWebhooks(request('{"test": 2432232314}', fewer), [secret], 1_614_265_330_000)).toBe('missing')
    }
  })
})

test('Standard Webhooks: a signature may begin like the name of its own version', () => {
  const key = Buffer.from('a key of twenty-four bytes')
  const signatureOf = (id: number) => createHmac('sha256', key).update(`m${id}.1000000000.{}`).digest('base64')
  for (const start of ['v1', 'v1a']) {
    let id = 0
    // One in 4,096, and one in 262,144.
    while (!signatureOf(id).startsWith(start)) id += 1
    const headers = { 'webhook-id': `m${id}`, 'webhook-timestamp': '1000000000' }
    for (const signature of [
      `v1,${signatureOf(id)}`,
      `v1,AAAA v1,${signatureOf(id)}`,
      `v1,AAAA, v1,${signatureOf(id)}`,
    ]) {
      const sent = request('{}', { ...headers, 'webhook-signature': signature })
      expect(standardWebhooks(sent, [`whsec_${key.toString('base64')}`], 1e12)).toBeNull()
    }
  }
})

test('Standard Webhooks by a public key: only its own private key signs', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const { x = '' } = publicKey.export({ format: 'jwk' })
  const secret = `whpk_${Buffer.from(x, 'base64url').toString('base64')}`
  const signature = sign(null, Buffer.from('m1.1000000000.{}'), privateKey).toString('base64')
  const headers = { 'webhook-id': 'm1', 'webhook-timestamp': '1000000000', 'webhook-signature': `v1a,${signature}` }
  expect(standardWebhooks(request('{}', headers), [secret], 1e12)).toBeNull()
  expect(standardWebhooks(request('{ }', headers), [secret], 1e12)).toBe('mismatch')
  // A public key is public: as a shared secret it signs nothing.
  expect(standardWebhooks(request('{}', headers), [secret.replace('whpk_', 'whsec_')], 1e12)).toBe('mismatch')
  expect(standardWebhooks(request('{}', headers), ['whpk_nonsense'], 1e12)).toBe('mismatch')
})

describe('a signature', () => {
  const sha256 = hmac({ algorithm: 'sha256', encoding: 'hex', header: 'x-hub-signature', prefix: 'sha256=' })

  test('is not lowered to another algorithm by the header', () => {
    // HMAC-SHA1 of "body" under "secret": right by the algorithm that the header names, and not by the platform's.
    const sha1 = 'sha1=a18991ff7e4513a1c2d2ee51e3a8e99ca891d9cd'
    expect(sha256(request('body', { 'x-hub-signature': sha1 }), ['secret'], 0)).toBe('mismatch')
  })

  test.each(['sha512=', 'SHA256=', 'sha256:', ''])('is none under the name %j, however right its digits', (prefix) => {
    // HMAC-SHA256 of "body" under "secret".
    const digits = 'dc46983557fea127b43af721467eb9b3fde2338fe3e14f51952aa8478c13d355'
    expect(sha256(request('body', { 'x-hub-signature': `sha256=${digits}` }), ['secret'], 0)).toBeNull()
    expect(sha256(request('body', { 'x-hub-signature': prefix + digits }), ['secret'], 0)).toBe('mismatch')
  })

  test('under an empty secret is none', () => {
    // HMAC-SHA256 of "" under "".
    const empty = 'sha256=b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad'
    expect(sha256(request('', { 'x-hub-signature': empty }), [''], 0)).toBe('mismatch')
    expect(sha256(request('', { 'x-hub-signature': '' }), ['secret'], 0)).toBe('missing')
  })
})

describe('a token that is sent along', () => {
  const verify = sharedToken('x-gitlab-token')
  const basic = (pair: string) => ({ authorization: `Basic ${Buffer.from(pair).toString('base64')}` })

  test.each([
    ['in a header of its own', { 'x-gitlab-token': 's3cret' }, ''],
    ['as X-API-Key', { 'x-api-key': 's3cret' }, ''],
    ['as a bearer token', { authorization: 'Bearer s3cret' }, ''],
    ['as the password of Basic', basic('user:s3cret'), ''],
    ['as the user of Basic, where there is no password', basic('s3cret:'), ''],
    ['as an API key with a password that is none', basic('s3cret:X'), ''],
    ['in the URL', {}, '?a=1&token=s3cret'],
  ])('%s proves who sends', (_name, headers, query) => {
    const sent = request('{}', headers, `https://a.example/hook${query}`)
    expect(verify(sent, ['old', 's3cret'], 0)).toBeNull()
    expect(verify(sent, ['s3cre'], 0)).toBe('mismatch')
    expect(verify(sent, [], 0)).toBe('mismatch')
  })

  test('may be user and password, as they were set up together', () => {
    expect(verify(request('{}', basic('user:pass:word')), ['user:pass:word'], 0)).toBeNull()
  })

  test.each([
    {},
    { authorization: 'Basic' },
    { authorization: 'Basic !!!' },
    { authorization: 'Bearer ' },
    { 'x-api-key': '' },
  ])('is missing where there is none: %j', (headers) => {
    expect(verify(request('{}', headers), [''], 0)).toBe('missing')
  })
})
