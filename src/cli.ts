import { Command, InvalidArgumentError, Option } from 'commander'

import { addArticleCommands } from './cli/article-commands.ts'
import { addJobCommands } from './cli/job-commands.ts'
import { date, example, part, seconds, SETTINGS, share, whole } from './cli/options.ts'
import { addSourceCommands } from './cli/source-commands.ts'
import { TRIAGE_FIELDS } from './core/decision.ts'
import { type Scope, SCOPES } from './core/key.ts'
import { ROLES } from './core/role.ts'
import { version } from './version.ts'

const DEFAULT_SCOPES: Scope[] = ['intake']

const program = new Command('ticketflow')
  .description('Support tickets from any platform through one webhook.')
  .version(version, '-V, --version', 'print the version')
  .helpOption('-h, --help', 'print this help')
  .helpCommand('help [command]', 'print the help of a command')
  .showHelpAfterError('(--help says how it is used)')
  .addHelpText(
    'after',
    example(
      ['ticketflow', 'run the server on http://127.0.0.1:8000'],
      ['ticketflow check', 'see whether it does what it should'],
      ['ticketflow doctor', 'see whether this machine is fit for it'],
    ),
  )

// A command's own modules are loaded when it runs: the server's would make `check` wait for what it never uses.
program
  .command('serve', { isDefault: true })
  .description('run the server (what `ticketflow` alone does)')
  .addOption(new Option('--role <role>', 'what this node does; TICKETFLOW_ROLE unless given').choices(ROLES))
  .addHelpText('after', `\n${SETTINGS}`)
  .addHelpText(
    'after',
    example(
      ['ticketflow serve', 'on port 8000, data in ./data'],
      ['PORT=9000 TICKETFLOW_DATA_DIR=/srv/tickets ticketflow serve', 'elsewhere'],
    ),
  )
  // As the default it is handed whatever is no command, and should not say that it takes no arguments.
  .allowExcessArguments()
  .action(async (options, { args: [unknown] }: Command) => {
    if (unknown !== undefined) program.error(`error: there is no command ${unknown}`)
    await (await import('./cli/serve.ts')).serve(options)
  })

program
  .command('check')
  .description(
    "send a server each of the specification's requests and judge its answers; makes about a dozen tickets there",
  )
  .argument('[url]', 'where the server listens', 'http://127.0.0.1:8000')
  .option('--timeout <seconds>', 'how long one answer may take', seconds, 10)
  .option(
    '--key <key>',
    'a key with the scopes intake and read, for a server that asks for one; - reads it from the input',
  )
  .option('--json', 'print the results as JSON')
  .addHelpText('after', '\nExit code 0 when everything is as it should be, else 1. It can be run again and again.')
  .addHelpText(
    'after',
    example(
      ['ticketflow check', ''],
      ['ticketflow check http://127.0.0.1:9000 --timeout 2', ''],
      ['NODE_EXTRA_CA_CERTS=ca.pem ticketflow check https://tickets.example.com', 'with a certificate of your own'],
      ['ticketflow check --json', 'for a pipeline'],
      ['ticketflow check --key - < key-file', 'so that no list of processes shows the key'],
    ),
  )
  .action(async (url: string, options) => (await import('./cli/check.ts')).check(url, options))

program
  .command('doctor')
  .description('examine this machine: configuration, data directory, disk, store, port; changes nothing')
  .option('--json', 'print the findings as JSON')
  .addHelpText('after', `\n${SETTINGS} Exit code 1 when something would keep the server from working.`)
  .addHelpText('after', example(['ticketflow doctor', 'before the first start, or when something is odd']))
  .action(async (options) => (await import('./cli/doctor.ts')).doctor(options))

const keys = program
  .command('keys')
  .description('make, list and revoke API keys; a running server knows within a second')

keys
  .command('create')
  .description('make a key and print it, this once')
  .argument('<name>', 'whose it is')
  .option('--scope <scopes...>', 'what it may do: intake, read, write, admin', scopes, DEFAULT_SCOPES)
  .option('--days <days>', 'how long it is good', whole(1, 36_500))
  .option('--rate <requests>', 'how many requests a minute it may make', whole(1, 10_000_000))
  .option('--json', 'print the key as JSON')
  .addHelpText('after', `\n${SETTINGS}`)
  .addHelpText(
    'after',
    example(
      ['ticketflow keys create zendesk', 'may send tickets'],
      ['ticketflow keys create console --scope read write --days 90', 'may read and change them'],
      ['ticketflow keys create me --scope admin', 'may do everything'],
    ),
  )
  .action(async (name: string, options) => (await import('./cli/keys.ts')).create(name, options))

keys
  .command('list')
  .description('show all keys, without their secrets')
  .option('--json', 'print them as JSON')
  .action(async (options) => (await import('./cli/keys.ts')).list(options))

keys
  .command('revoke')
  .description('let a key open nothing any more')
  .argument('<id>', 'how the key begins, as `ticketflow keys list` shows it')
  .option('--json', 'print the result as JSON')
  .action(async (id: string, options) => (await import('./cli/keys.ts')).revoke(id, options))

addSourceCommands(program)
addJobCommands(program)
addArticleCommands(program)

program
  .command('preview')
  .description('show what the webhook would make of the body in a file; needs no server and stores nothing')
  .argument('<file>', 'the body as the sender sent it; - for standard input')
  .option('--platform <id>', 'read it as this platform’s, instead of recognising it')
  .option('--header <line...>', 'a header that came with it, as "Name: value"')
  .option('--json', 'print the preview as JSON')
  .addHelpText('after', '\nExit code 1 when the body would be refused.')
  .addHelpText(
    'after',
    example(
      ['ticketflow preview payload.json', ''],
      ['ticketflow preview payload.json --platform jira --json', ''],
      ['curl -s https://…/payload | ticketflow preview - --header "X-GitHub-Event: issues"', ''],
    ),
  )
  .action(async (file: string, options) => (await import('./cli/preview.ts')).preview(file, options))

program
  .command('backup')
  .description('copy the store into one file, consistent and checked, while the server runs and writes')
  .argument('<file>', 'the file to make, outside the data directory')
  .option('--force', 'replace the file when it is there already')
  .option('--json', 'print the result as JSON')
  .addHelpText('after', `\n${SETTINGS}`)
  .addHelpText(
    'after',
    example(
      ['ticketflow backup /mnt/backup/tickets-monday.db', ''],
      ['ticketflow backup /mnt/backup/tickets.db --force', 'the same file every night'],
    ),
  )
  .action(async (file: string, options) => (await import('./cli/backup.ts')).backup(file, options))

program
  .command('restore')
  .description('make a backup the store of the data directory; the server has to be stopped')
  .argument('<file>', 'what `ticketflow backup` made')
  .option('--force', 'when there is a store already: move it aside, under a name with the time; nothing is deleted')
  .option('--json', 'print the result as JSON')
  .addHelpText('after', `\n${SETTINGS}`)
  .addHelpText(
    'after',
    example(
      ['ticketflow restore /mnt/backup/tickets-monday.db', ''],
      ['TICKETFLOW_DATA_DIR=/tmp/look ticketflow restore tickets-monday.db', 'into another directory'],
    ),
  )
  .action(async (file: string, options) => (await import('./cli/backup.ts')).restore(file, options))

program
  .command('migrate')
  .description('move the store of the data directory into the PostgreSQL of DATABASE_URL; the server has to be stopped')
  .addOption(new Option('--from <engine>', 'where it is').choices(['sqlite']).default('sqlite'))
  .addOption(new Option('--to <engine>', 'where it goes').choices(['postgres']).default('postgres'))
  .option('--json', 'print the result as JSON')
  .addHelpText(
    'after',
    '\nThe database has to be empty. Every row is read back and compared. Interrupted, it goes on where it was.',
  )
  .addHelpText('after', `\n${SETTINGS}`)
  .addHelpText(
    'after',
    example([
      'DATABASE_URL=postgres://ticketflow@db.example.com/tickets ticketflow migrate --from sqlite --to postgres',
      '',
    ]),
  )
  .action(async (options) => (await import('./cli/migrate.ts')).migrate(options))

program
  .command('drill')
  .description(
    'try it on this machine: kill a server of its own under load, again and again, and count what was lost or doubled',
  )
  .option('--kills <n>', 'how often', whole(1, 10_000), 10)
  .option('--seconds-between <n>', 'how long, on average, it runs between kills', seconds, 1)
  .option('--connections <n>', 'how many senders send at a time', whole(1, 256), 16)
  .option('--dir <folder>', 'where its data lies meanwhile; beside the data directory unless given')
  .option('--json', 'print the result as JSON')
  .addHelpText(
    'after',
    '\nZendesk, Jira, Freshdesk and ServiceNow deliveries, with retries, duplicates and reordering. Your own data is ' +
      'not touched; the drill’s is removed, unless something was lost. Exit code 0 when nothing was lost or doubled.',
  )
  .addHelpText(
    'after',
    example(
      ['ticketflow drill', 'ten kills, about half a minute'],
      ['ticketflow drill --kills 100 --json', 'for a pipeline'],
      ['ticketflow drill --dir /mnt/other', 'on another disk'],
    ),
  )
  .action(async (options) => (await import('./cli/drill.ts')).drill(options))

const audit = program
  .command('audit')
  .description('prove that nobody changed, removed or inserted a delivery: each commits to the one before')
  .helpCommand(false)

audit
  .command('verify')
  .description('follow the chain to its end or the first broken link; also while the server runs; changes nothing')
  .option('--checkpoint <file|text>', 'prove also that the log still contains these checkpoints, one a line')
  .option('--json', 'print the result as JSON')
  .addHelpText('after', `\nExit code 1 when a link is broken or a checkpoint is not in the log. ${SETTINGS}`)
  .addHelpText(
    'after',
    example(
      ['ticketflow audit verify', ''],
      ['ticketflow audit verify --checkpoint /mnt/elsewhere/checkpoints', 'sees also when the newest were cut off'],
    ),
  )
  .action(async (options) => (await import('./cli/audit.ts')).verify(options))

audit
  .command('checkpoint')
  .description('print the newest link, its delivery and time: a line to keep elsewhere')
  .option('--json', 'print it as JSON')
  .addHelpText('after', `\nExit code 1 when there is none yet. ${SETTINGS}`)
  .addHelpText('after', example(['ticketflow audit checkpoint >> /mnt/elsewhere/checkpoints', 'every night']))
  .action(async (options) => (await import('./cli/audit.ts')).checkpoint(options))

const receipt = program
  .command('receipt')
  .description('what the header TicketFlow-Receipt of an answer proves')
  .helpCommand(false)

receipt
  .command('verify')
  .description('hold a receipt against the body that was sent and the public key; needs no server and no network')
  .argument('<receipt>', 'the header’s value, or a file that holds it')
  .requiredOption('--body <file>', 'the body as it was sent, before compression; - for standard input')
  .requiredOption('--key <file|text>', 'the public key: what the well-known address gave, JWK, PEM or base64')
  .option('--ticket <id>', 'prove also that it is of this ticket', whole(1, Number.MAX_SAFE_INTEGER))
  .option('--delivery <id>', 'prove also that it is of this delivery', whole(1, Number.MAX_SAFE_INTEGER))
  .option('--link <hex>', 'prove also that this is its link in the audit log')
  .option('--json', 'print the result as JSON')
  .addHelpText('after', '\nExit code 1 when it does not hold.')
  .addHelpText(
    'after',
    example(
      ['curl -s https://…/.well-known/ticketflow-receipt-key > key.json', 'once, and kept'],
      ['ticketflow receipt verify receipt.txt --body sent.json --key key.json', ''],
      ['ticketflow receipt verify "v=1; …" --body sent.json --key key.json --ticket 42', 'that it became this ticket'],
    ),
  )
  .action(async (text: string, options) => (await import('./cli/receipt.ts')).verify(text, options))

receipt
  .command('keys')
  .description('list the public keys of all nodes that sign receipts on this store, or did')
  .option('--json', 'print them as JSON, with the keys themselves')
  .addHelpText('after', `\n${SETTINGS}`)
  .action(async (options) => (await import('./cli/receipt-keys.ts')).list(options))

receipt
  .command('withdraw')
  .description('show a public key no more: its receipts prove nothing from then on')
  .argument('<key>', 'its id, as `receipt keys` shows it')
  .option('--json', 'print the result as JSON')
  .addHelpText('after', `\nExit code 1 when there is none. ${SETTINGS}`)
  .action(async (kid: string, options) => (await import('./cli/receipt-keys.ts')).withdraw(kid, options))

program
  .command('erase')
  .description('erase what is about one person, also while the server runs; the audit chain stays whole')
  .requiredOption('--email <address>', 'the person’s address, in any case')
  .option('--dry-run', 'count what would be erased, and change nothing')
  .option('--json', 'print the result as JSON')
  .addHelpText(
    'after',
    `\nIt can be stopped at any time and run again. Backups made before, and logs, are not touched. Exit code 1 when a ` +
      `file of the data directory still holds the address. ${SETTINGS}`,
  )
  .addHelpText(
    'after',
    example(
      ['ticketflow erase --email ann@example.com --dry-run', 'what there is'],
      ['ticketflow erase --email ann@example.com', ''],
    ),
  )
  .action(async (options) => (await import('./cli/erase.ts')).erase(options))

const triage = program
  .command('triage')
  .description('the local engine that suggests category and priority')
  .helpCommand(false)

triage
  .command('eval')
  .description('learn from one file of labelled tickets, be tried on another, and print how well it did')
  .option('--train <file>', 'CSV with the columns text and category')
  .requiredOption('--test <file>', 'the same, of tickets that it has not learned from')
  .option('--per-class <n>', 'learn from so many of each category only', whole(1, 1_000_000))
  .option('--seed <n>', 'which ones, by chance', whole(0, 4_294_967_295), 1)
  .option('--cold-start <file>', 'JSON with the categories’ descriptions: [{name, description, keywords, labels}]')
  .option('--embedder <name>', 'bundled, none, or the address of a server that makes vectors', 'bundled')
  .option('--embedder-model <name>', 'the server’s model')
  .option('--precision <share>', 'how much of what it is sure of has to be right', share, 0.95)
  .option('--json', 'print the figures as JSON')
  .addHelpText(
    'after',
    example(
      ['ticketflow triage eval --train T.csv --test E.csv', 'learn from all'],
      ['ticketflow triage eval --train T.csv --test E.csv --per-class 20 --seed 2', 'from little'],
      ['ticketflow triage eval --cold-start categories.json --test E.csv', 'from nothing but descriptions'],
      ['ticketflow triage eval --train T.csv --test E.csv --embedder none --json', 'by words alone'],
    ),
  )
  .action(async (options) => (await import('./cli/triage.ts')).evaluate(options))

triage
  .command('backtest')
  .description('learn from the older part of this store’s history, be tried on the newer, and print how well it did')
  .addOption(
    new Option('--since <date>', 'where the newer part begins, by when it was said what a ticket is')
      .argParser(date)
      .conflicts('last'),
  )
  .option('--last <share>', 'how much of the history is the newer part', part, 0.2)
  .addOption(new Option('--field <field>', 'what is tried').choices(TRIAGE_FIELDS).default('category'))
  .option('--embedder <name>', 'bundled, none, or the address of a server; what the server is set to unless given')
  .option('--embedder-model <name>', 'the server’s model')
  .option('--precision <share>', 'how much of what it is sure of has to be right; as it is set unless given', share)
  .option('--json', 'print the figures as JSON')
  .addHelpText(
    'after',
    `\nAlso while the server runs; nothing is changed. What people set counts before what senders sent. ${SETTINGS}`,
  )
  .addHelpText(
    'after',
    example(
      ['ticketflow triage backtest', 'the newest fifth, judged by what the rest teaches'],
      ['ticketflow triage backtest --since 2026-11-01 --field priority', ''],
      ['ticketflow triage backtest --embedder none --precision 0.9 --json', 'what other settings would do'],
    ),
  )
  .action(async (options) => (await import('./cli/backtest.ts')).tryOnHistory(options))

await program.parseAsync()

function scopes(word: string, before: Scope[]): Scope[] {
  const scope = SCOPES.find((one) => one === word)
  if (scope === undefined) throw new InvalidArgumentError(`It must be one of ${SCOPES.join(', ')}.`)
  // The preset gives way to the first that is named.
  return before === DEFAULT_SCOPES ? [scope] : [...new Set([...before, scope])]
}
