import { expect } from 'vitest'

export type Ask = { method?: string; body?: unknown; headers?: Record<string, string> }

/** Asks a server and reads its answer, as JSON where it is an object. */
export async function ask(url: string, { method = 'GET', body, headers = {} }: Ask = {}) {
  const request = {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }
  const response = await fetch(url, request)
  const text = await response.text()
  return { status: response.status, headers: response.headers, json: text.startsWith('{') ? JSON.parse(text) : text }
}

export const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
export const basic = (user: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
})

/** Asks until the server has heard of what the command line did, which takes it up to a second. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 60; tries += 1) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  expect.fail('the server has not heard of it in three seconds')
}
