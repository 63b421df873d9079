/** How long an external id is: the same for each, so that a request is one buffer in which only the id changes. */
export const ID_LENGTH = 20

/** The ticket that every server of the benchmark gets: about 1 KB, with an id of its own each time. */
export const ticketWith = (id: string) =>
  JSON.stringify({
    title: 'Password reset mail never arrives for accounts with a plus sign in the address',
    description:
      'Since the release on Monday customers who registered with an address such as name+shop@example.com do not get the ' +
      'mail with the reset link. The log of the mail relay shows nothing for them, so it seems that it is never sent. ' +
      'Steps: open the sign-in page, choose "Forgot password", enter the address, submit. The page says that a mail is on ' +
      'its way; none comes, also not in the spam folder. Other addresses of the same domain work. We have about forty ' +
      'reports so far and the number grows; a workaround that we could give to customers would help a lot. Thank you!',
    category: 'account',
    priority: 'high',
    customer_email: 'support.lead@customer.example',
    id,
    platform: 'custom_system',
    metadata: {
      source_url: 'https://custom-system.example/ticket/789',
      department: 'support',
      region: 'eu-central',
      build: 4711,
    },
  })
