import { Command } from 'commander'

import { serve } from './cli/serve.ts'

const program = new Command('ticketflow')
  .description('Support tickets from any platform through one webhook.')
  .showHelpAfterError()

program.command('serve', { isDefault: true }).description('run the server').action(serve)

await program.parseAsync()
