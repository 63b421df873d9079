import type { RequestSpan, Traces } from '../core/trace.ts'
import { pathOf } from '../intake/request.ts'
import type { App } from './fastify.ts'

/** A span a request, by the names of OpenTelemetry's conventions for HTTP; without the sender's address, or a query. */
export function traceRequests(app: App, traces: Traces): void {
  const spans = new WeakMap<object, RequestSpan>()
  app.addHook('onRequest', (request, _reply, done) => {
    const span = traces.request({
      method: request.method,
      route: request.routeOptions.url ?? null,
      headers: request.headers,
      facts: {
        'url.path': pathOf(request.url),
        'url.scheme': request.protocol,
        'network.protocol.version': request.raw.httpVersion,
        'ticketflow.request_id': request.id,
      },
    })
    spans.set(request, span)
    // All that follows is within: Fastify itself goes on there after it has read the body.
    span.within(done)
  })
  app.addHook('onResponse', (request, reply, done) => {
    spans.get(request)?.end(reply.statusCode)
    done()
  })
}
