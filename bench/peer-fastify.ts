// (b) Fastify that validates the ticket and echoes it. Stores nothing.
import Fastify from 'fastify'

const text = { type: 'string' }
const schema = {
  body: {
    type: 'object',
    required: ['title', 'description'],
    properties: {
      title: text,
      description: text,
      category: text,
      customer_email: { type: 'string', format: 'email' },
      id: text,
      platform: text,
      priority: { enum: ['low', 'medium', 'high', 'urgent'] },
      metadata: { type: 'object' },
    },
  },
}
const app = Fastify()
app.post('/api/integrations/webhook', { schema }, (request) => request.body)
await app.listen({ host: '127.0.0.1', port: Number(process.env['PORT']) })
