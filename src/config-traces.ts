import { z } from 'zod'

const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const

const isUrl = (url: string) => url === '' || (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol))

const address = (name: string) =>
  z
    .string()
    .default('')
    .refine(isUrl, { error: `${name} must be an address such as http://127.0.0.1:4318` })

const whole = (name: string, preset: number) =>
  z
    .string()
    .default(String(preset))
    .transform(Number)
    .refine((value) => Number.isInteger(value) && value >= 1 && value <= 1_000_000, {
      error: `${name} must be a whole number from 1 to 1000000`,
    })

/**
 * OpenTelemetry's own variables, as far as they are decided here; where and how to send (OTEL_EXPORTER_OTLP_*) and
 * OTEL_RESOURCE_ATTRIBUTES its own packages read themselves.
 */
const Otel = z.object({
  OTEL_SDK_DISABLED: z.string().default('false'),
  OTEL_TRACES_EXPORTER: z.string().default(''),
  OTEL_EXPORTER_OTLP_ENDPOINT: address('OTEL_EXPORTER_OTLP_ENDPOINT'),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: address('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'),
  OTEL_EXPORTER_OTLP_PROTOCOL: z.string().default(''),
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: z.string().default(''),
  OTEL_SERVICE_NAME: z.string().default('ticketflow'),
  OTEL_TRACES_SAMPLER: z
    .enum(SAMPLERS, { error: `OTEL_TRACES_SAMPLER must be one of ${SAMPLERS.join(', ')}` })
    .default('parentbased_always_on'),
  OTEL_TRACES_SAMPLER_ARG: z
    .string()
    .default('1')
    .transform(Number)
    .refine((ratio) => ratio >= 0 && ratio <= 1, { error: 'OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1' }),
  OTEL_BSP_SCHEDULE_DELAY: whole('OTEL_BSP_SCHEDULE_DELAY', 5000),
  OTEL_BSP_EXPORT_TIMEOUT: whole('OTEL_BSP_EXPORT_TIMEOUT', 30_000),
  OTEL_BSP_MAX_QUEUE_SIZE: whole('OTEL_BSP_MAX_QUEUE_SIZE', 2048),
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: whole('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 512),
})

export type TraceConfig = {
  serviceName: string
  sampler: (typeof SAMPLERS)[number]
  /** What part of the traces is sent, from 0 to 1, where the sampler asks. */
  ratio: number
  batch: { delayMs: number; timeoutMs: number; queue: number; size: number }
}

/** Null where nobody asks for traces, and then nothing else is looked at: the variables may be another program's. */
export function readTraces(given: NodeJS.ProcessEnv): { traces: TraceConfig | null; faults: string[] } {
  if (!isAsked(given)) return { traces: null, faults: [] }
  const parsed = Otel.safeParse(given)
  const protocol =
    given['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'] ?? given['OTEL_EXPORTER_OTLP_PROTOCOL'] ?? 'http/protobuf'
  const faults = parsed.error?.issues.map(({ message }) => message) ?? []
  if (protocol !== 'http/protobuf') {
    faults.push(`OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf, which every collector takes on port 4318`)
  }
  if (!parsed.success || faults.length > 0) return { traces: null, faults }
  const env = parsed.data
  const traces = {
    serviceName: env.OTEL_SERVICE_NAME,
    sampler: env.OTEL_TRACES_SAMPLER,
    ratio: env.OTEL_TRACES_SAMPLER_ARG,
    batch: {
      delayMs: env.OTEL_BSP_SCHEDULE_DELAY,
      timeoutMs: env.OTEL_BSP_EXPORT_TIMEOUT,
      queue: env.OTEL_BSP_MAX_QUEUE_SIZE,
      size: Math.min(env.OTEL_BSP_MAX_EXPORT_BATCH_SIZE, env.OTEL_BSP_MAX_QUEUE_SIZE),
    },
  }
  return { traces, faults }
}

function isAsked(given: NodeJS.ProcessEnv): boolean {
  if (given['OTEL_SDK_DISABLED']?.trim().toLowerCase() === 'true') return false
  const exporter = given['OTEL_TRACES_EXPORTER']
  if (exporter !== undefined) return exporter.split(',').some((one) => one.trim() === 'otlp')
  return Boolean(given['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? given['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'])
}
