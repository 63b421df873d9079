import type { Facts, Traces } from '../core/trace.ts'
import type { Store, Submission } from '../store/store.ts'

/** The store, telling what it commits of a request and what became of it. */
export function traceCommits(store: Store, traces: Traces): Store {
  return {
    ...store,
    submit: (submission) => {
      // Outside of a request there is nothing to be a part of.
      const traceparent = traces.traceparent()
      if (traceparent === null) return store.submit(submission)
      return traces.span('commit', async () => {
        traces.note(factsOf(submission))
        const receipt = await store.submit({ ...submission, delivery: { ...submission.delivery, traceparent } })
        traces.note({
          'ticketflow.outcome': receipt.outcome,
          'ticketflow.delivery_id': receipt.deliveryId,
          ...(receipt.ticketId !== null && { 'ticketflow.ticket_id': receipt.ticketId }),
        })
        return receipt
      })
    },
  }
}

function factsOf(submission: Submission): Facts {
  const { source, platform, bodySize } = submission.delivery
  return {
    'ticketflow.source': source,
    'http.request.body.size': bodySize,
    ...(platform !== null && { 'ticketflow.platform': platform }),
    ...(submission.kind === 'batch' && { 'ticketflow.items': submission.items.length }),
  }
}
