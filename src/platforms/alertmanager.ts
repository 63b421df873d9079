import { at, list, raw, skip, text, time } from '../core/fields.ts'
import { isObject } from '../core/json.ts'
import { definePlatform, type NativeEvent } from '../core/native.ts'
import type { PriorityScale } from '../core/priority.ts'
import { hmac, sharedToken } from '../core/signature.ts'

const PRIORITIES: PriorityScale = {
  critical: 'urgent',
  page: 'urgent',
  error: 'high',
  warning: 'medium',
  info: 'low',
}

/** Prometheus Alertmanager and Grafana, which sends the same and more: a group of alerts, each a ticket of its own. */
export default definePlatform({
  id: 'alertmanager',
  label: 'Alertmanager',
  aliases: ['grafana', 'prometheus'],
  kinds: ['updated', 'solved'],
  headers: ['x-grafana-alerting-signature'],
  userAgent: 'Alertmanager/',
  recognises: (payload) => Array.isArray(payload['alerts']) && ('groupLabels' in payload || isAlert(payload)),

  schemes: {
    token: sharedToken(),
    signature: hmac({ algorithm: 'sha256', encoding: 'hex', header: 'x-grafana-alerting-signature' }),
  },
  priorities: PRIORITIES,

  events: (body) => {
    if (!isObject(body) || !Array.isArray(body['alerts'])) return null
    const { alerts, ...group } = body
    return alerts.map((alert) => Object.assign({ alerts: [alert] }, group))
  },

  noise: /^(?:commonLabels|commonAnnotations|groupLabels|groupKey|truncatedAlerts|version|orgId|message|title|state)$/,

  read: (body): NativeEvent => {
    const [alert = at(body, 'alerts')] = list(body, 'alerts')
    const [labels, notes] = [at(alert, 'labels'), at(alert, 'annotations')]
    const isOver = text(alert, 'status') === 'resolved'
    const severity = text(labels, 'severity', 'priority')
    const name = text(labels, 'alertname')
    skip(body, 'status')
    return {
      kind: isOver ? 'solved' : 'updated',
      ticket: {
        // Of its labels: the same alert has the same one each time that it fires.
        id: text(alert, 'fingerprint'),
        title: text(notes, 'summary', 'title') ?? name,
        description: text(notes, 'description', 'message'),
        category: text(labels, 'service', 'job', 'team'),
        priority: severity,
        status: isOver ? 'resolved' : 'open',
        updatedAt: isOver ? time(alert, 'endsAt') : time(alert, 'startsAt'),
        metadata: {
          status: text(alert, 'status'),
          alert: name,
          url: text(alert, 'panelURL', 'dashboardURL', 'generatorURL'),
          runbook: text(notes, 'runbook_url'),
          receiver: text(body, 'receiver'),
          labels: raw(alert, 'labels'),
        },
      },
    }
  },
})

const isAlert = (payload: Readonly<Record<string, unknown>>) => 'receiver' in payload && 'status' in payload
