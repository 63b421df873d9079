import { afterEach, expect, test, vi } from 'vitest'

import { readTraces } from '../../src/config-traces.ts'
import { parseTraceparent, traceparentOf } from '../../src/core/trace.ts'
import { startTraces } from '../../src/traces.ts'
import { startCollector } from '../collector.ts'

afterEach(() => vi.unstubAllEnvs())

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'

test('a traceparent is read as W3C says, and anything else is none', () => {
  expect(parseTraceparent(`00-${TRACE}-${SPAN}-01`)).toEqual({ traceId: TRACE, spanId: SPAN, traceFlags: 1 })
  expect(parseTraceparent(`00-${TRACE}-${SPAN}-02`)).toMatchObject({ traceFlags: 0 })
  // A later version may say more, this one not.
  expect(parseTraceparent(`01-${TRACE}-${SPAN}-01-more`)).toMatchObject({ traceId: TRACE })
  for (const none of [
    `00-${TRACE}-${SPAN}-01-more`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}`,
    `01-${TRACE}-${SPAN}-01-${'x'.repeat(300)}`,
    '',
  ])
    expect({ none, read: parseTraceparent(none) }).toEqual({ none, read: null })
  expect(traceparentOf({ traceId: TRACE, spanId: SPAN, traceFlags: 1 })).toBe(`00-${TRACE}-${SPAN}-01`)
})

const OTLP = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' }
const cases = [
  { name: 'nothing', env: {}, isOn: false },
  { name: 'an endpoint', env: OTLP, isOn: true },
  { name: 'an endpoint for traces', env: { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:1/x' }, isOn: true },
  { name: 'an exporter', env: { OTEL_TRACES_EXPORTER: 'otlp' }, isOn: true },
  { name: 'an endpoint and no exporter', env: { ...OTLP, OTEL_TRACES_EXPORTER: 'none' }, isOn: false },
  { name: 'an exporter that is not here', env: { OTEL_TRACES_EXPORTER: 'console' }, isOn: false },
  { name: 'a disabled SDK', env: { ...OTLP, OTEL_SDK_DISABLED: 'true' }, isOn: false },
  { name: 'faults of what is disabled', env: { OTEL_SDK_DISABLED: 'TRUE', OTEL_TRACES_SAMPLER: 'x' }, isOn: false },
]

test.each(cases)('$name asks for traces: $isOn', ({ env, isOn }) => {
  const { traces, faults } = readTraces(env)
  expect({ isOn: traces !== null, faults }).toEqual({ isOn, faults: [] })
})

test('a fault in what asks for traces is a sentence that names its variable', () => {
  const bad = {
    OTEL_TRACES_EXPORTER: 'otlp',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'collector',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    OTEL_TRACES_SAMPLER: 'sometimes',
    OTEL_TRACES_SAMPLER_ARG: '2',
    OTEL_BSP_MAX_QUEUE_SIZE: '0',
  }
  const { faults } = readTraces(bad)
  expect(faults).toHaveLength(5)
  for (const name of Object.keys(bad).slice(1)) expect(faults.join('\n')).toContain(name)
})

const samplers = [
  { sampler: 'always_on', sent: 2 },
  { sampler: 'always_off', sent: 0 },
  { sampler: 'parentbased_always_off', sent: 1 },
  { sampler: 'parentbased_traceidratio', ratio: '0', sent: 1 },
  { sampler: 'traceidratio', ratio: '1', sent: 2 },
]

test.each(samplers)('sampler $sampler sends $sent of one with and one without a parent', async (one) => {
  const collector = await startCollector()
  try {
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', collector.url)
    const { traces: config } = readTraces({
      OTEL_TRACES_EXPORTER: 'otlp',
      OTEL_TRACES_SAMPLER: one.sampler,
      OTEL_TRACES_SAMPLER_ARG: one.ratio,
    })
    if (config === null) throw new Error('no traces')
    const traces = startTraces({ config, onFault: () => {}, onMended: () => {} })
    const inside = await traces.job('triage', `00-${TRACE}-${SPAN}-01`, async () => traces.traceparent())
    expect(inside).toMatch(new RegExp(`^00-${TRACE}-(?!${SPAN})[0-9a-f]{16}-0[01]$`))
    expect(() =>
      traces.job('triage', null, () => {
        throw new Error('as it is')
      }),
    ).toThrow('as it is')
    await traces.close()
    expect(collector.spans).toHaveLength(one.sent)
    const [first] = collector.spans
    if (one.sent > 0) expect(first).toMatchObject({ name: 'triage', parent: SPAN, service: 'ticketflow' })
    expect(Buffer.concat(collector.raw).toString('latin1')).not.toContain('as it is')
  } finally {
    collector.server.closeAllConnections()
    collector.server.close()
  }
})
