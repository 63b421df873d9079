import { afterEach, describe, expect, test } from 'vitest'
import type { StoredDelivery } from '../../src/store/store.ts'
import { createFeed, type Feed } from '../../src/http/feed.ts'
import { createBus } from '../../src/work/events.ts'

let feed: Feed
afterEach(() => feed.close())

const delivery = (id: number) =>
  ({ id, receivedAt: 0, headers: '{}', outcome: 'ignored', durationUs: 0 }) as StoredDelivery // what the row shows of it

function start(options: { lingerMs?: number; rowsOf?: () => Promise<never> } = {}) {
  const bus = createBus()
  const asked: number[][] = []
  let changed = () => {}
  feed = createFeed({
    bus,
    onError: () => {},
    store: {
      rowsOf: async ({ deliveries }) => {
        asked.push([...deliveries])
        await options.rowsOf?.()
        return { deliveries: deliveries.map(delivery), tickets: [] }
      },
      sourceStore: {
        onSourcesChanged: (listener: () => void) => {
          changed = listener
          return () => {}
        },
      } as never, // nothing else of it is asked
    },
    ...options,
  })
  return { bus, asked, changeSources: () => changed() }
}

function reader(lastId: string | null = null) {
  const heard: string[] = []
  const leave = feed.follow(lastId, (text) => heard.push(text))
  const events = () =>
    heard
      .join('')
      .match(/event: \w+/g)
      ?.map((line) => line.slice(7)) ?? []
  const lastOf = () =>
    heard
      .join('')
      .match(/id: .+/g)
      ?.at(-1)
      ?.slice(4) ?? ''
  return { heard, leave, events, lastOf }
}

const until = (isSo: () => boolean) => expect.poll(isSo, { timeout: 30_000, interval: 10 }).toBe(true)

describe('the feed', () => {
  test('asks for nothing while nobody listens', () => {
    const { bus } = start()
    expect(bus.isHeard()).toBe(false)
  })

  test('writes each event once for all who listen', async () => {
    const { bus, asked } = start()
    const [one, other] = [reader(), reader()]
    bus.publish({ deliveries: [1, 2, 1], tickets: [] })
    await until(() => one.events().length === 3 && other.events().length === 3)
    expect(one.events()).toEqual(['ready', 'delivery', 'delivery'])
    expect(asked).toEqual([[1, 2]])
    expect(one.heard.at(-1)).toBe(other.heard.at(-1))
  })

  test('tells of more than fifty by their number', async () => {
    const { bus, asked } = start()
    const { events, heard } = reader()
    bus.publish({ deliveries: Array.from({ length: 60 }, (_, id) => id), tickets: [] })
    await until(() => events().includes('more'))
    expect(heard.at(-1)).toContain('{"deliveries":60,"tickets":0}')
    expect(asked).toEqual([])
  })

  test('whoever comes back hears what was missed meanwhile; whoever stayed away too long asks anew', async () => {
    const { bus } = start({ lingerMs: 60_000 })
    const first = reader()
    bus.publish({ deliveries: [1], tickets: [] })
    await until(() => first.events().length === 2)
    first.leave()
    expect(bus.isHeard()).toBe(true)
    bus.publish({ deliveries: [2], tickets: [] })
    const again = reader(first.lastOf())
    await until(() => again.events().length === 1)
    expect(again.heard.join('')).toContain('"id":2')
    expect(reader('other-1').events()).toEqual(['more'])
    expect(reader(`${first.lastOf()}9`).events()).toEqual(['more'])
  })

  test('falls silent when nobody has come back, and its numbers count no more', async () => {
    const { bus } = start({ lingerMs: 1 })
    const first = reader()
    first.leave()
    await until(() => !bus.isHeard())
    expect(reader(first.lastOf()).events()).toEqual(['more'])
  })

  test('rows that cannot be read are told as how many they were; a change of the sources by itself', async () => {
    const { bus, changeSources } = start({ rowsOf: () => Promise.reject(new Error('no disk')) })
    const { events } = reader()
    bus.publish({ deliveries: [1], tickets: [2] })
    await until(() => events().includes('more'))
    changeSources()
    await until(() => events().includes('source'))
  })
})
