/** A delivery as the platform itself sends it, with numbers of its own, so that each makes a ticket. */
type TestDelivery = { headers: Record<string, string>; body: unknown }

export type TestSender = { id: string; label: string; build: (serial: number, now: Date) => TestDelivery }

/** As ServiceNow's scripts write a time: UTC, without saying so. */
const plainTime = (now: Date) => now.toISOString().slice(0, 19).replace('T', ' ')

export const TEST_SENDERS: readonly TestSender[] = [
  {
    id: 'zendesk',
    label: 'Zendesk',
    build: (serial, now) => ({
      headers: { 'x-zendesk-account-id': '771204', 'x-zendesk-webhook-id': '01JTESTWEBHOOKID0000000001' },
      body: {
        type: 'zen:event-type:ticket.created',
        account_id: 771_204,
        id: crypto.randomUUID(),
        time: now.toISOString(),
        zendesk_event_version: '2022-11-06',
        subject: `zen:ticket:${serial}`,
        detail: {
          id: String(serial),
          subject: 'CSV export hangs for large order lists',
          description:
            'Since this morning the export button spins forever.\nThe order list has 12,000 rows; it worked last week.',
          priority: 'NORMAL',
          status: 'NEW',
          type: 'INCIDENT',
          tags: ['export', 'web'],
          via: { channel: 'email' },
          requester_id: '905100010001',
          created_at: now.toISOString(),
          updated_at: now.toISOString(),
        },
        event: {},
      },
    }),
  },
  {
    id: 'freshdesk',
    label: 'Freshdesk',
    build: (serial, now) => ({
      headers: {},
      body: {
        freshdesk_webhook: {
          ticket_id: serial,
          ticket_url: `https://example.freshdesk.com/a/tickets/${serial}`,
          ticket_subject: 'Printer on the third floor is offline',
          ticket_description:
            '<div>Hello,</div><div>the printer is <b>offline</b> since 8&nbsp;am.<br>Thanks &amp; regards</div>',
          ticket_status: 'Open',
          ticket_priority: 'Urgent',
          ticket_source: 'Email',
          ticket_type: 'Incident',
          ticket_tags: 'printer,office',
          ticket_requester_name: 'Nina Roth',
          ticket_requester_email: 'nina.roth@example.com',
          ticket_group_name: 'IT',
          ticket_created_at: now.toISOString(),
        },
      },
    }),
  },
  {
    id: 'jira',
    label: 'Jira',
    build: (serial, now) => ({
      headers: { 'x-atlassian-webhook-identifier': crypto.randomUUID() },
      body: {
        timestamp: now.getTime(),
        webhookEvent: 'jira:issue_created',
        issue_event_type_name: 'issue_created',
        user: { accountId: '712020:example', displayName: 'Sofia Lindqvist', accountType: 'atlassian' },
        issue: {
          id: String(serial),
          self: `https://example.atlassian.net/rest/api/2/issue/${serial}`,
          key: `SUP-${serial}`,
          fields: {
            summary: 'Invoice PDF shows the wrong VAT',
            description: 'h3. Steps:\n# open the invoice\n# download it\n\n*Expected* 19% but got {{7%}}',
            issuetype: { name: 'Bug', subtask: false },
            project: { key: 'SUP', name: 'Support' },
            priority: { name: 'High', id: '2' },
            status: { name: 'To Do', statusCategory: { key: 'new', name: 'To Do' } },
            reporter: { accountId: '712020:example', displayName: 'Sofia Lindqvist' },
            labels: ['web'],
            components: [{ name: 'Billing' }],
            created: now.toISOString().replace('Z', '+0000'),
            updated: now.toISOString().replace('Z', '+0000'),
          },
        },
      },
    }),
  },
  {
    id: 'servicenow',
    label: 'ServiceNow',
    build: (serial, now) => ({
      headers: {},
      body: {
        number: `INC${String(serial).padStart(7, '0')}`,
        sys_id: crypto.randomUUID().replaceAll('-', ''),
        opened_at: plainTime(now),
        impact: '1',
        urgency: '1',
        priority: '1',
        state: '1',
        category: 'network',
        short_description: 'E-mail server cannot be reached',
        description: 'Outlook says disconnected for the whole building.',
        caller_id: '62826bf03710200044e0bfc8bcbe5df1',
        caller_email: 'abel.tuter@example.com',
        sys_class_name: 'incident',
      },
    }),
  },
]
