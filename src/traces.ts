import { setTimeout as sleep } from 'node:timers/promises'

import {
  type Context,
  createTraceState,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'

import type { TraceConfig } from './config-traces.ts'
import type { Headers } from './core/signature.ts'
import { parseTraceparent, traceparentOf, type Traces } from './core/trace.ts'

/** How long the end of the program waits for a collector to take the last spans. */
const FLUSH_MS = 2000

/** Where the request's own span is kept, to be found from within its parts. */
const REQUEST = Symbol('the span of the request')

/**
 * Spans to a collector, in batches, behind the answers. Nothing waits for it: where it is slow or gone, spans are
 * dropped, and `onFault` hears so once, `onMended` when it takes them again. This file is loaded only where traces
 * were asked for. It registers nothing globally, so that no library takes it for an invitation.
 */
export function startTraces(options: {
  config: TraceConfig
  onFault: (error: Error) => void
  onMended: () => void
}): Traces {
  const { config, onFault, onMended } = options
  const manager = new AsyncLocalStorageContextManager().enable()
  const { delayMs, timeoutMs, queue, size } = config.batch
  const processor = new BatchSpanProcessor({
    exporter: watched(new OTLPTraceExporter(), onFault, onMended),
    scheduledDelayMillis: delayMs,
    exportTimeoutMillis: timeoutMs,
    maxQueueSize: queue,
    maxExportBatchSize: size,
  })
  const own = resourceFromAttributes({ 'service.name': config.serviceName })
  const provider = new TracerProvider({
    resource: defaultResource()
      .merge(detectResources({ detectors: [envDetector] }))
      .merge(own),
    sampler: samplerOf(config),
    spanLimits: { attributeValueLengthLimit: 200, attributeCountLimit: 32 },
    spanProcessors: [processor],
  })
  const tracer = provider.getTracer('ticketflow')

  /** Runs it as what `span` stands for, and ends that when it is done. */
  function last<Result>(span: Span, context: Context, run: () => Result): Result {
    try {
      const result = manager.with(trace.setSpan(context, span), run)
      if (!(result instanceof Promise)) {
        span.end()
        return result
      }
      const settled = result.then(
        (value: unknown) => {
          span.end()
          return value
        },
        (error: unknown) => fault(span, error),
      )
      return settled as Result // of the same value, later by the end of the span
    } catch (error) {
      return fault(span, error)
    }
  }

  return {
    request: ({ method, route, headers, facts }) => {
      const parent = contextOf(headers)
      const name = route === null ? method : `${method} ${route}`
      const attributes = { 'http.request.method': method, ...(route !== null && { 'http.route': route }), ...facts }
      const span = tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, parent)
      const context = trace.setSpan(parent, span).setValue(REQUEST, span)
      return {
        within: (run) => manager.with(context, run),
        end: (status) => {
          span.setAttribute('http.response.status_code', status)
          // A refusal is the sender's fault, and no error of this server.
          if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
          span.end()
        },
      }
    },
    span: (name, run, facts = {}) => {
      const context = manager.active()
      return last(tracer.startSpan(name, { attributes: facts }, context), context, run)
    },
    note: (facts) => {
      const context = manager.active()
      for (const span of new Set([trace.getSpan(context), context.getValue(REQUEST) as Span | undefined])) {
        span?.setAttributes(facts)
      }
    },
    traceparent: () => {
      const span = trace.getSpan(manager.active())?.spanContext()
      return span === undefined ? null : traceparentOf(span)
    },
    job: (name, traceparent, run) => {
      const context = contextOf({ traceparent: traceparent ?? undefined })
      return last(tracer.startSpan(name, { kind: SpanKind.CONSUMER }, context), context, run)
    },
    close: async () => {
      const flushed = provider.shutdown().catch(() => {})
      await Promise.race([flushed, sleep(FLUSH_MS, undefined, { ref: false })])
      manager.disable()
    },
  }
}

/** What it says may be of a person: only that it happened is told. */
function fault(span: Span, error: unknown): never {
  span.setAttribute('error.type', error instanceof Error ? error.name : 'Error')
  span.end()
  throw error
}

function contextOf({ traceparent, tracestate }: Headers): Context {
  const parent = parseTraceparent(typeof traceparent === 'string' ? traceparent : null)
  if (parent === null) return ROOT_CONTEXT
  const state = typeof tracestate === 'string' && tracestate.length <= 512 ? createTraceState(tracestate) : undefined
  return trace.setSpanContext(ROOT_CONTEXT, { ...parent, isRemote: true, ...(state && { traceState: state }) })
}

function samplerOf({ sampler, ratio }: TraceConfig): Sampler {
  const root = sampler.endsWith('ratio')
    ? new TraceIdRatioBasedSampler(ratio)
    : sampler.endsWith('off')
      ? new AlwaysOffSampler()
      : new AlwaysOnSampler()
  return sampler.startsWith('parentbased') ? new ParentBasedSampler({ root }) : root
}

/** Tells of the first failure of a row, and of its end; a collector may be away for days. */
function watched(exporter: SpanExporter, onFault: (error: Error) => void, onMended: () => void): SpanExporter {
  let isFailing = false
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        const failed = result.code !== 0
        if (failed && !isFailing) onFault(result.error ?? new Error('the collector did not take them'))
        if (!failed && isFailing) onMended()
        isFailing = failed
        done(result)
      }),
    shutdown: () => exporter.shutdown(),
  }
}
