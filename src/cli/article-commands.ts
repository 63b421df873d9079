import type { Command } from 'commander'

import { example, seconds, SETTINGS, whole } from './options.ts'
import { server } from './source-commands.ts'

const ID = whole(1, Number.MAX_SAFE_INTEGER)

/** `articles`. */
export function addArticleCommands(program: Command): void {
  const articles = program
    .command('articles')
    .description('the knowledge base: what replies are taken from; a running server knows of changes within a second')
    .helpCommand(false)

  place(articles.command('add'))
    .description('add files, or all that a folder holds; the same path again replaces what changed')
    .argument('<path...>', '.md, .markdown, .html, .htm and .txt; a folder with all that is in it')
    .option('--label <label...>', 'what to label them')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      '\nThe path as it is given here is the source by which an article is known. Its title is in its front matter, its ' +
        `first heading or its name. Exit code 1 when any was refused. ${SETTINGS}`,
    )
    .addHelpText(
      'after',
      example(
        ['ticketflow articles add docs', 'a folder'],
        ['ticketflow articles add faq.md --label billing', ''],
        ['ticketflow articles add docs --url https://tickets.example.com', 'to a server elsewhere'],
      ),
    )
    .action(async (paths: string[], options) => (await import('./articles.ts')).add(paths, options))

  place(articles.command('list'))
    .description('show all articles, or those that hold all of some words')
    .option('--q <words>', 'words that all occur; word* for a prefix')
    .option('--json', 'print them as JSON')
    .action(async (options) => (await import('./articles.ts')).list(options))

  place(articles.command('show'))
    .description('show one article')
    .argument('<id>', 'its number', ID)
    .option('--json', 'print it as JSON')
    .action(async (id: number, options) => (await import('./articles.ts')).show(id, options))

  place(articles.command('remove'))
    .description('remove one article')
    .argument('<id|source>', 'its number, or where it comes from')
    .option('--json', 'print the result as JSON')
    .action(async (named: string, options) => (await import('./articles.ts')).remove(named, options))

  server(articles.command('search'))
    .description('find articles, and tickets, as the running server finds them for a ticket')
    .argument('<words>', 'words, or a sentence')
    .option('--limit <n>', 'how many', whole(1, 50), 10)
    .option('--json', 'print them as JSON')
    .addHelpText('after', '\nNeeds the running server.')
    .addHelpText('after', example(['ticketflow articles search "vpn drops every few minutes"', '']))
    .action(async (words: string, options) => (await import('./articles.ts')).search(words, options))
}

/** The options of what works on the store of this machine, or asks a server. */
const place = (command: Command): Command =>
  command
    .option('--url <url>', 'the server to ask; the store of this machine unless given')
    .option('--key <key>', 'an API key for it; TICKETFLOW_ADMIN_KEY unless given')
    .option('--timeout <seconds>', 'how long one answer of it may take', seconds, 60)
