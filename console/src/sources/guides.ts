/** How a sender is set up there, in its own words. `{url}` and `{secret}` stand for the source's. */
export type Guide = {
  /** Of the source to be made. */
  auth: 'signature' | 'key' | 'network'
  scheme?: string
  /** Who makes the secret: `sender` shows its own, which is pasted here afterwards. */
  secretFrom: 'here' | 'sender'
  steps: readonly string[]
  /** To be pasted there. */
  snippet?: { label: string; text: string }
  note?: string
}

const SERVICENOW_RULE = `(function executeRule(current) {
  var request = new sn_ws.RESTMessageV2()
  request.setEndpoint('{url}')
  request.setHttpMethod('POST')
  request.setRequestHeader('Content-Type', 'application/json')
  request.setRequestHeader('X-API-Key', '{secret}')
  var caller = current.caller_id.getRefRecord()
  request.setRequestBody(JSON.stringify({
    operation: current.operation(),
    number: current.getValue('number'),
    sys_id: current.getUniqueValue(),
    short_description: current.getValue('short_description'),
    description: current.getValue('description'),
    priority: current.getValue('priority'),
    state: current.getValue('state'),
    category: current.getValue('category'),
    caller_id: current.getValue('caller_id'),
    caller_email: caller.getValue('email'),
    sys_updated_on: current.getValue('sys_updated_on')
  }))
  request.executeAsync()
})(current)`

const GUIDES: Readonly<Record<string, Guide>> = {
  zendesk: {
    auth: 'signature',
    secretFrom: 'sender',
    steps: [
      'In Admin Center open Apps and integrations → Webhooks → Create webhook.',
      'Choose Zendesk events and tick the ticket events: created, comment added, status, priority and subject changed.',
      'Endpoint URL: the address below. Method POST, format JSON, no authentication.',
      'Save it, open it again, and choose Reveal secret. Paste that signing secret here.',
    ],
    note: 'Zendesk’s events carry no e-mail address. Where you need it, choose Trigger or automation instead.',
  },
  freshdesk: {
    auth: 'signature',
    scheme: 'token',
    secretFrom: 'here',
    steps: [
      'In Admin open Workflows → Automations → Ticket Creation → New rule, and choose the action Trigger webhook.',
      'Request type POST; URL: the address below; encoding JSON; content Simple with every field ticked.',
      'Add a custom header X-API-Key with the secret below: Freshdesk does not sign.',
      'Make the same rule under Ticket Updates, so that changes arrive too.',
    ],
  },
  jira: {
    auth: 'signature',
    secretFrom: 'here',
    steps: [
      'Open Settings → System → WebHooks → Create a WebHook.',
      'URL: the address below. Secret: the secret below.',
      'Tick Issue created, updated, deleted and Comment created, updated, deleted; narrow it by JQL, such as project = SUP.',
    ],
    note: 'Automation (Send web request) cannot sign: there, send the secret as a header X-API-Key and choose the scheme token.',
  },
  servicenow: {
    auth: 'signature',
    scheme: 'token',
    secretFrom: 'here',
    steps: [
      'Open System Definition → Business Rules → New: table Incident, Advanced, when async, on insert and update.',
      'Paste the script below; it has the address and the secret in it.',
    ],
    snippet: { label: 'Business rule', text: SERVICENOW_RULE },
    note: 'async matters: a rule that waits holds up the person who saves the incident.',
  },
  github: {
    auth: 'signature',
    secretFrom: 'here',
    steps: [
      'In the repository or organisation open Settings → Webhooks → Add webhook.',
      'Payload URL: the address below. Content type application/json. Secret: the secret below.',
      'Let me select individual events: Issues and Issue comments.',
    ],
  },
  gitlab: {
    auth: 'signature',
    scheme: 'token',
    secretFrom: 'here',
    steps: [
      'In the project open Settings → Webhooks → Add new webhook.',
      'URL: the address below. Secret token: the secret below.',
      'Tick Issues events and Comments.',
    ],
  },
  slack: {
    auth: 'signature',
    secretFrom: 'sender',
    steps: [
      'At api.slack.com/apps open your app.',
      'Under Event Subscriptions or Slash Commands, give the address below.',
      'Under Basic Information → App Credentials, show the Signing Secret and paste it here.',
    ],
  },
  linear: {
    auth: 'signature',
    secretFrom: 'sender',
    steps: [
      'Open Settings → API → Webhooks → New webhook.',
      'URL: the address below. Choose Issues and Comments.',
      'Copy the signing secret that Linear shows, and paste it here.',
    ],
  },
  standard_webhooks: {
    auth: 'signature',
    secretFrom: 'here',
    steps: ['Give your sender the address and the secret below; it signs as Standard Webhooks says.'],
  },
  flat: {
    auth: 'signature',
    scheme: 'token',
    secretFrom: 'here',
    steps: ['POST a ticket as JSON to the address below, with the secret in the header X-API-Key.'],
    snippet: {
      label: 'Try it',
      text: `curl -X POST '{url}' \\
  -H 'content-type: application/json' -H 'x-api-key: {secret}' \\
  -d '{"id":"1","title":"Printer on fire","description":"Since nine.","priority":"high"}'`,
    },
  },
}

/** Whatever platform it is: most take an address and a secret. */
const ANY: Guide = {
  auth: 'signature',
  secretFrom: 'here',
  steps: [
    'In the settings of the sender add a webhook with the address below.',
    'Give it the secret below. Where it makes its own, paste that here instead.',
  ],
}

export const guideOf = (platform: string | null): Guide => GUIDES[platform ?? 'flat'] ?? ANY

/** Shown first. */
export const FEATURED = ['zendesk', 'freshdesk', 'jira', 'servicenow', 'flat'] as const
