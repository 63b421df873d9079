// The load, in a process of its own so that it can be pinned: node bench/load.ts URL CONNECTIONS SECONDS
import autocannon from 'autocannon'

import { ticket } from './ticket.ts'

const [url = '', connections = '1', seconds = '1'] = process.argv.slice(2)

const result = await autocannon({
  url,
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: ticket,
  idReplacement: true,
  connections: Number(connections),
  duration: Number(seconds),
})
process.stdout.write(
  JSON.stringify({
    requests: result['2xx'],
    refused: result.non2xx + result.errors + result.timeouts,
    seconds: result.duration,
    p50: result.latency.p50,
    p99: result.latency.p99,
  }),
)
