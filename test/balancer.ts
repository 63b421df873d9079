import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * What stands in front of several nodes: hands each request to the next of them, and answers 502 where that one does
 * not. It asks nobody twice: what to do about a lost answer is the sender's business.
 */
export async function startBalancer(nodes: () => readonly string[]) {
  let turn = 0
  const server = createServer((incoming, outgoing) => {
    const urls = nodes()
    const url = urls[(turn += 1) % urls.length]
    const fail = () => {
      if (outgoing.headersSent) return void outgoing.destroy()
      outgoing.writeHead(502).end()
    }
    const { method, headers } = incoming
    const passed = request(`${url}${incoming.url}`, { method, headers, agent: false }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
      answer.on('error', fail)
    })
    passed.on('error', fail)
    incoming.pipe(passed)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
