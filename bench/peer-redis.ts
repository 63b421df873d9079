// (g) A bare gateway: node:http that appends each body to a Redis list and answers when Redis says that it has it.
// With `appendfsync always` Redis syncs once for all that it read in one turn, before it answers any of them.
import { createServer, type ServerResponse } from 'node:http'
import { connect } from 'node:net'

const socket = connect({ host: '127.0.0.1', port: Number(process.env['REDIS_PORT']), noDelay: true })
const waiting: { response: ServerResponse; body: Buffer }[] = []

// RESP: the length of the list, `:42\r\n`, for each RPUSH, in order.
let rest = ''
socket.on('data', (chunk: Buffer) => {
  const lines = (rest + chunk.toString('latin1')).split('\r\n')
  rest = lines.pop() ?? ''
  for (const line of lines) {
    const { response, body } = waiting.shift() ?? {}
    if (response === undefined || body === undefined) continue
    const status = line.startsWith(':') ? 200 : 503
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length }).end(body)
  }
})
socket.on('close', () => process.exit(1))

const PUSH = Buffer.from('*3\r\n$5\r\nRPUSH\r\n$7\r\ntickets\r\n')
const END = Buffer.from('\r\n')

const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const body = Buffer.concat(chunks)
    JSON.parse(body.toString('utf8'))
    waiting.push({ response, body })
    socket.write(Buffer.concat([PUSH, Buffer.from(`$${body.length}\r\n`), body, END]))
  })
})
server.listen(Number(process.env['PORT']), '127.0.0.1')
