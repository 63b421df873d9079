import { type Command, InvalidArgumentError } from 'commander'

import { JOB_STATES } from '../core/jobs.ts'
import { example, whole } from './options.ts'
import { server } from './source-commands.ts'

const NUMBER = whole(1, Number.MAX_SAFE_INTEGER)

/** The commands for work that is done after the answer. */
export function addJobCommands(program: Command): void {
  const jobs = program
    .command('jobs')
    .description('what is to be done after the answer, on the running server: list, retry, discard')

  server(jobs.command('list'), 10)
    .description('show jobs that are not done, newest first')
    .option('--state <state>', `only these: ${JOB_STATES.join(', ')}`, state)
    .option('--kind <kind>', 'of this kind alone')
    .option('--limit <n>', 'how many', whole(1, 1000), 50)
    .option('--json', 'print them as JSON')
    .addHelpText('after', '\nNeeds the running server, and a key with the scope read where it asks for keys.')
    .addHelpText('after', example(['ticketflow jobs list --state dead', 'what nobody will try again by itself']))
    .action(async (options) => (await import('./jobs.ts')).list(options))

  server(jobs.command('retry'), 60)
    .description('let a job run now, with all its attempts before it; or all dead ones of a kind')
    .argument('[job]', 'its number', NUMBER)
    .option('--kind <kind>', 'all that are dead of this kind')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', example(['ticketflow jobs retry 42', ''], ['ticketflow jobs retry --kind triage', '']))
    .action(async (id: number | undefined, options) => (await import('./jobs.ts')).retry(id, options))

  server(jobs.command('discard'), 10)
    .description('forget a job; its ticket stays')
    .argument('<job>', 'its number', NUMBER)
    .option('--json', 'print the result as JSON')
    .action(async (id: number, options) => (await import('./jobs.ts')).discard(id, options))
}

function state(word: string): string {
  if (JOB_STATES.some((one) => one === word)) return word
  throw new InvalidArgumentError(`It must be one of ${JOB_STATES.join(', ')}.`)
}
