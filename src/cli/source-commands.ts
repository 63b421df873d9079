import type { Command } from 'commander'

import { OUTCOMES } from '../store/store.ts'
import { example, seconds, SETTINGS, whole } from './options.ts'

const SECRET = 'the sender’s own secret, - for standard input; one is made and shown unless given'
const SERVER = 'http://127.0.0.1:8000'

/** `sources`, `replay`, `simulate` and `top`. */
export function addSourceCommands(program: Command): void {
  const sources = program
    .command('sources')
    .description(
      'register senders: their signatures, networks, field maps, redaction; a running server knows within a second',
    )

  settings(sources.command('create'))
    .description('register a sender and print its address and secret, this once')
    .argument('<id>', 'its name in the URL, such as zendesk-eu')
    .option('--secret <secret>', SECRET)
    .addHelpText('after', `\n${SETTINGS}`)
    .addHelpText(
      'after',
      example(
        ['ticketflow sources create zendesk --platform zendesk', 'signed by a secret that this makes'],
        ['ticketflow sources create github --platform github --secret -', 'by one that you type or pipe in'],
        ['ticketflow sources create forms --auth key --category web --map map.json', 'its own fields, mapped'],
        ['ticketflow sources create printer --auth network --network 10.1.0.0/16', 'by where it sends from'],
      ),
    )
    .action(async (id: string, options) => (await import('./sources.ts')).create(id, options))

  sources
    .command('list')
    .description('show all sources, without their secrets')
    .option('--json', 'print them as JSON')
    .action(async (options) => (await import('./sources.ts')).list(options))

  sources
    .command('show')
    .description('show one source')
    .argument('<id>', 'which')
    .option('--json', 'print it as JSON')
    .action(async (id: string, options) => (await import('./sources.ts')).show(id, options))

  settings(sources.command('update'))
    .description('change a source: what is given is set, all else stays')
    .argument('<id>', 'which')
    .action(async (id: string, options) => (await import('./sources.ts')).update(id, options))

  sources
    .command('rotate')
    .description('give it a new secret; the old ones go on to count for a while')
    .argument('<id>', 'which')
    .option('--secret <secret>', SECRET)
    .option('--overlap <hours>', 'how long the old secrets count', whole(0, 720), 24)
    .option('--json', 'print the result as JSON')
    .action(async (id: string, options) => (await import('./sources.ts')).rotate(id, options))

  for (const [name, disabled] of [['disable', true] as const, ['enable', false] as const]) {
    sources
      .command(name)
      .description(disabled ? 'let it take nothing for now' : 'let it take deliveries again')
      .argument('<id>', 'which')
      .option('--json', 'print the result as JSON')
      .action(async (id: string, options) => (await import('./sources.ts')).setDisabled(id, disabled, options))
  }

  sources
    .command('delete')
    .description('delete it; its deliveries and tickets stay')
    .argument('<id>', 'which')
    .option('--json', 'print the result as JSON')
    .action(async (id: string, options) => (await import('./sources.ts')).remove(id, options))

  server(program.command('replay'))
    .description('work deliveries once more, as things are now; never makes their tickets twice')
    .argument('[delivery]', 'its number; all that the options name unless given', whole(1, Number.MAX_SAFE_INTEGER))
    .option('--outcome <outcome>', `which: ${OUTCOMES.join(', ')}`, 'rejected')
    .option('--source <id>', 'of this source alone')
    .option('--unproved', 'also what was refused because nobody proved who sent it; takes an admin key')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', '\nNeeds the running server. Exit code 1 when any was refused once more.')
    .addHelpText(
      'after',
      example(
        ['ticketflow replay 4711', 'one'],
        ['ticketflow replay --source forms', 'all of that source that were refused, and not mended since'],
      ),
    )
    .action(async (id: number | undefined, options) => (await import('./replay.ts')).replay(id, options))

  server(program.command('simulate'))
    .description('run a changed field map over what a source has sent, and show which tickets would be different')
    .argument('<source>', 'its id')
    .requiredOption('--map <file>', 'the field map: JSON, a JSONata expression a field; - for standard input')
    .option('--last <n>', 'how many of its deliveries, the newest', whole(1, 100_000), 10_000)
    .option('--apply', 'set the map and change the tickets; what people edited stays')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', '\nNeeds the running server.')
    .addHelpText(
      'after',
      example(
        ['ticketflow simulate forms --map map.json', 'changes nothing'],
        ['ticketflow simulate forms --map map.json --apply', ''],
      ),
    )
    .action(async (source: string, options) => (await import('./simulate.ts')).simulate(source, options))

  server(program.command('top'), 10)
    .description('watch a running server: what comes in from whom, how fast it is answered, what waits; q ends')
    .option('--every <seconds>', 'how often it is drawn', seconds, 1)
    .option('--once', 'print it once, which is what it does in any case where no terminal watches')
    .option('--json', 'print it once, as JSON')
    .addHelpText('after', '\nNeeds the running server, and a key with the scope read where it asks for keys.')
    .addHelpText(
      'after',
      example(['ticketflow top', ''], ['ticketflow top --once --every 10', 'the mean of ten seconds']),
    )
    .action(async (options) => (await import('./top.ts')).top(options))
}

const settings = (command: Command): Command =>
  command
    .option('--name <name>', 'what people call it')
    .option('--platform <id>', 'whose format it sends; `any` recognises each body')
    .option('--auth <way>', 'what it has to show: signature, key, network')
    .option('--scheme <name>', 'how it signs, where its platform has several ways')
    .option('--network <cidr...>', 'where it may send from; `any` is everywhere')
    .option('--rate <requests>', 'how many requests a minute it may make; 0 is no limit', whole(0, 10_000_000))
    .option('--account <name>', 'whose ticket numbers these are; the source’s own id unless given')
    .option('--category <category>', 'what a new ticket gets where the sender says none')
    .option('--priority <priority>', 'the same for its priority')
    .option('--map <file>', 'the field map: JSON, a JSONata expression a field; - for standard input')
    .option('--redaction <file>', 'what is taken out before anything is stored: JSON, a list of rules')
    .option('--json', 'print the result as JSON')

/** The options of what asks a running server. */
export const server = (command: Command, timeout = 300): Command =>
  command
    .option('--url <url>', 'where the server listens', SERVER)
    .option('--key <key>', 'an API key; TICKETFLOW_ADMIN_KEY unless given')
    .option('--timeout <seconds>', 'how long one answer may take', seconds, timeout)
