import type { Category } from './descriptions.ts'

/** What a usual support desk sorts tickets into. Whoever runs it edits these, or writes their own. */
export const CATEGORIES: readonly Category[] = [
  {
    name: 'technical',
    description:
      'Something that worked is broken: errors, failures, crashes, outages, bugs, slow or unavailable pages, wrong results.',
    keywords:
      'site is down, error, failing, failed, broken, not working, crash, bug, outage, down, unavailable, slow, timeout, 500, 502, 503, 404, exception, freeze, blank page, does not load, server, app, screen, install, update, since this morning'.split(
        ', ',
      ),
  },
  {
    name: 'billing',
    description:
      'Invoices, charges, payments, refunds, subscriptions, plans, prices, taxes, a card that was declined or charged twice.',
    keywords:
      'invoice, bill, billing, charge, charged, charged twice, payment, refund, subscription, plan, price, pricing, tax, vat, credit card, receipt, discount, coupon, renewal, upgrade, downgrade, monthly, annual, overcharged, quote'.split(
        ', ',
      ),
  },
  {
    name: 'account_access',
    description:
      'Getting into the account: log in, sign in, password reset, locked out, two-factor codes, verification e-mails, single sign-on, users, roles and permissions.',
    keywords:
      'password, reset password, password reset, log in, login, sign in, locked out, locked, account, username, two factor, 2fa, mfa, verification code, verification email, sso, access denied, permission, invite, user role, activate account, change email'.split(
        ', ',
      ),
  },
  {
    name: 'feature_request',
    description:
      'A wish for something that the product does not have yet: new features, options, improvements, suggestions and ideas.',
    keywords:
      'feature, feature request, request, suggestion, idea, improvement, enhancement, wish, would be nice, would love, add support, option, dark mode, roadmap, please add, could you add, ability to, vote'.split(
        ', ',
      ),
  },
  {
    name: 'integration',
    description:
      'Setting up connections with other systems: API keys and documentation, webhooks, plugins, connectors, imports, exports and synchronisation.',
    keywords:
      'integration, integrate, api key, api documentation, webhook, oauth, token, connector, plugin, zapier, slack, salesforce, jira, sync, import, export, endpoint, sdk, connect, third party, rate limit'.split(
        ', ',
      ),
  },
  {
    name: 'orders',
    description:
      'Things that are bought and sent: orders, delivery, shipping, tracking, returns, exchanges, damaged or missing items, stock.',
    keywords:
      'order, delivery, deliver, shipping, ship, shipment, tracking, package, parcel, return, exchange, damaged, missing item, wrong item, stock, courier, address, arrived, warehouse, size, product'.split(
        ', ',
      ),
  },
  {
    name: 'cancellation',
    description: 'Ending the contract: cancelling a subscription, closing or deleting an account, leaving the service.',
    keywords:
      'cancel, cancellation, cancel subscription, close account, delete account, terminate, unsubscribe, end contract, stop renewal, leave, switch provider, no longer need, trial end, opt out'.split(
        ', ',
      ),
  },
  {
    name: 'security',
    description:
      'Danger to data or accounts: hacked accounts, phishing, suspicious logins, fraud, vulnerabilities, privacy and data protection requests.',
    keywords:
      'security, hacked, hack, phishing, suspicious, fraud, stolen, breach, vulnerability, compromised, malware, virus, privacy, gdpr, personal data, data request, spam, unauthorised, unauthorized, leak, scam'.split(
        ', ',
      ),
  },
  {
    name: 'general',
    description:
      'Anything else: questions about how something is done, opening hours, contact, sales and partnership enquiries, feedback, thanks.',
    keywords:
      'how do i, how to, information, opening hours, contact, phone number, sales, demo, partnership, feedback, thank you, compliment, documentation, guide, tutorial, training, job, press, curious, wondering'.split(
        ', ',
      ),
  },
]
