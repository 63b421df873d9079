import { expect } from 'vitest'

/** `data` is whatever the server says: what it should be is for the test to expect. */
export type ServerEvent = { id: string; event: string; data: ReturnType<typeof JSON.parse> }

/** A reader of server-sent events, as a browser is one, but for coming back by itself. */
export async function openStream(url: string, headers: Record<string, string> = {}) {
  const stop = new AbortController()
  const response = await fetch(`${url}/api/events`, { headers, signal: stop.signal })
  const events: ServerEvent[] = []
  let isEnded = false
  const reading = (async () => {
    if (response.body === null || response.status !== 200) return
    let text = ''
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      text += chunk
      const blocks = text.split('\n\n')
      text = blocks.pop() ?? ''
      for (const block of blocks) {
        const fields = Object.fromEntries(block.split('\n').map((line) => line.split(/: (.*)/s).slice(0, 2)))
        if (fields['event']) events.push({ id: fields['id'], event: fields['event'], data: JSON.parse(fields['data']) })
      }
    }
  })()
    .catch(() => {})
    .finally(() => (isEnded = true))

  /** Waits until it has told of this. */
  async function heard(isIt: (event: ServerEvent) => boolean): Promise<ServerEvent> {
    for (let tries = 0; tries < 600; tries += 1) {
      const found = events.find(isIt)
      if (found !== undefined) return found
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    return expect.fail(`not heard in 30 s; heard ${JSON.stringify(events).slice(0, 500)}`)
  }

  return {
    response,
    events,
    heard,
    lastId: () => events.at(-1)?.id ?? '',
    ended: async () => {
      await reading
      return isEnded
    },
    close: async () => {
      stop.abort()
      await reading
    },
  }
}
