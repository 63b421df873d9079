import { createRandom } from './corpus.ts'

const post = async (url: string, body: unknown, headers: Record<string, string> = {}) => {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  return { status: response.status, json: (await response.json()) as { id: number } }
}

/** Title, description, category, priority. */
const TOLD: readonly [string, string, string, string][] = [
  [
    'Password reset mail never arrives',
    'I asked for the link four times since 9 am. Nothing in the spam folder either. My address has a plus sign in it, if that matters.',
    'account',
    'high',
  ],
  [
    'Invoice 2024-1187 charged twice',
    'Both charges are on our card statement of the 12th. Please refund one of them and confirm in writing, our auditor asks for it.',
    'billing',
    'high',
  ],
  [
    'Checkout shows a blank page in Safari',
    'Since the update on Tuesday nothing is drawn after "Continue to payment". Chrome works. About one in five of our customers uses Safari.',
    'bug',
    'urgent',
  ],
  [
    'Export of the order list hangs',
    'The button spins forever as soon as the list has more than 10,000 rows. It worked last week.',
    'bug',
    'medium',
  ],
  [
    'VPN drops every twenty minutes',
    'From the Lisbon office only. I attached the log of the client; it says "keepalive timeout".',
    'network',
    'high',
  ],
  [
    'Add dark mode to the customer portal',
    'Several of our agents work at night and would be grateful. It does not have to be pretty.',
    'feature',
    'low',
  ],
  [
    'Printer on the third floor is offline',
    'Hello, the printer has been offline since 8 am. Thanks and regards, Nina',
    'hardware',
    'medium',
  ],
  [
    'Suspicious sign-in from another country',
    'I got a mail that somebody signed in as me from a place I have never been to. I have changed the password. What else should I do?',
    'security',
    'urgent',
  ],
  [
    'How do I change the owner of a workspace?',
    'Our admin left the company and nobody else can invite people.',
    'account',
    'medium',
  ],
  [
    'Webhook answers 401 since this morning',
    'We rotated the secret yesterday as your guide says. Deliveries with the new secret are refused.',
    'bug',
    'high',
  ],
  ['Quote for 40 more seats', 'We grow faster than planned. Is there a discount from 100 seats on?', 'billing', 'low'],
  [
    'Rechnung ohne Umsatzsteuer-ID',
    'Guten Tag, auf der Rechnung für Oktober fehlt unsere USt-IdNr. Können Sie sie bitte korrigiert noch einmal schicken?',
    'billing',
    'medium',
  ],
  ['E-mail server cannot be reached', 'Outlook says disconnected for the whole building.', 'network', 'urgent'],
  [
    'Mobile app crashes when a photo is attached',
    'Pixel 8, Android 16. Happens with every photo over 10 MB, never with small ones.',
    'bug',
    'high',
  ],
  [
    'Import of contacts stops at row 501',
    'No error is shown; the rest of the file is just missing. CSV, UTF-8, 2,300 rows.',
    'bug',
    'medium',
  ],
  ['Delete my account and all data', 'Please confirm when it is done. I will not need an export.', 'account', 'medium'],
  [
    'Meeting room display shows yesterday’s plan',
    'Room Amsterdam, second floor. Restarting it did not help.',
    'hardware',
    'low',
  ],
  [
    'Report numbers differ from the dashboard',
    'The weekly report says 1,204 orders, the dashboard 1,198. Which one is right?',
    'general',
    'medium',
  ],
]

const PEOPLE = [
  'nina.roth',
  'abel.tuter',
  'sofia.lindqvist',
  'm.okafor',
  'j.tanaka',
  'carla.mendes',
  'p.novak',
  'lea.dubois',
]
const PLATFORMS = ['zendesk', 'freshdesk', 'jira', 'servicenow', 'custom_system'] as const
/** Source and body of what is written down so that it need not be answered twice. */
const ARTICLES: readonly [string, string][] = [
  [
    'kb/password-reset.md',
    '# Reset your password\n\nOpen the sign-in page and choose **Forgot password**. The link in the mail is good for one hour.\n\n## No mail arrives\n\nThe password reset mail may be in the spam folder. An address with a plus sign has to be typed as it was registered.',
  ],
  [
    'kb/vpn.md',
    '# The VPN drops\n\nWhen the VPN drops every twenty minutes and the log of the client says "keepalive timeout", switch it from UDP to TCP in its settings.',
  ],
  [
    'https://docs.example.com/refunds',
    '# Refunds\n\nAn invoice that was charged twice is refunded within five working days, to the card that was charged.',
  ],
]

const STATUSES = ['open', 'open', 'pending', 'resolved', 'closed'] as const

const ROUNDS = 3
/** Senders with an address of their own; the last is never heard. */
const SOURCES = [
  { id: 'web-shop', name: 'Web shop', auth: 'key' },
  { id: 'intranet', name: 'Intranet forms', auth: 'key', account: 'staff' },
  { id: 'zendesk-eu', name: 'Zendesk Europe', auth: 'signature', platform: 'zendesk' },
] as const

/**
 * Fills a server with what an ordinary week brings, by its own API; returns the numbers of the tickets. `headers` bring an
 * admin's key; `before` is called before each ticket with the share of the week that is over.
 */
export async function seedConsole(
  url: string,
  headers: Record<string, string>,
  before: (share: number) => Promise<void>,
): Promise<number[]> {
  const random = createRandom(7)
  const webhook = `${url}/api/integrations/webhook`
  await before(0)
  for (const source of SOURCES) await post(`${url}/api/sources`, source, headers)
  const ids: number[] = []
  for (const [source, body] of ARTICLES) await post(`${url}/api/articles`, { source, body }, headers)
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, [title, description, category, priority]] of TOLD.entries()) {
      const platform = random.pick(PLATFORMS)
      const number = 1000 + round * TOLD.length + index
      const body = {
        title,
        description,
        category,
        priority,
        platform,
        id: platform === 'jira' ? `SUP-${number}` : String(number),
        customer_email: `${random.pick(PEOPLE as [string, ...string[]])}@example.com`,
        metadata: {
          url: `https://${platform}.example.com/tickets/${number}`,
          department: random.pick(['finance', 'support', 'it', 'sales']),
          tags: [category, round === 0 ? 'first-line' : 'web'],
        },
      }
      await before(ids.length / (ROUNDS * TOLD.length))
      const address = `${webhook}/${SOURCES[random.below(2)]?.id}`
      const { json } = await post(address, body, headers)
      ids.push(json.id)
      if (random.below(3) === 0)
        await post(address, { ...body, description: `${description}\n\nUpdate: it happens to others too.` }, headers)
    }
  }
  // What was refused belongs to a week as well, and what came twice.
  await post(`${webhook}/zendesk-eu`, { subject: 'Not signed' }, { 'x-zendesk-webhook-id': 'made-up' })
  await post(`${webhook}/web-shop`, { subject: 'No text' }, headers)
  await post(
    `${webhook}/intranet`,
    { title: 'Bad address', description: 'x', customer_email: 'not an address' },
    headers,
  )
  for (let turn = 0; turn < 2; turn += 1) {
    await post(
      webhook,
      { title: 'Sent twice', description: 'One ticket all the same.' },
      { ...headers, 'idempotency-key': 'twice' },
    )
  }
  for (const id of ids.slice(0, Math.floor(ids.length / 2))) {
    await fetch(`${url}/api/tickets/${id}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ status: random.pick(STATUSES) }),
    })
  }
  return ids
}
