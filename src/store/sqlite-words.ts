import { DatabaseSync } from 'node:sqlite'

/** How the index cuts text into words; a query has to be cut the same way. */
export const TOKENIZER = 'unicode61 remove_diacritics 2'

const ASCII = /^[\0-\x7f]*$/

/**
 * Cuts text as FTS5 does. What it takes for a letter is its own affair (an older Unicode, and no vowel signs), and a
 * quoted word that it would cut in two is a phrase, which the index cannot answer: so it is asked.
 */
export function createWords() {
  const db = new DatabaseSync(':memory:')
  db.exec(`create virtual table asked using fts5(text, tokenize = '${TOKENIZER}');
    create virtual table found using fts5vocab(asked, instance)`)
  const ask = db.prepare('insert into asked (rowid, text) values (1, ?)')
  const read = db.prepare('select term from found order by offset')
  const forget = db.prepare('delete from asked where rowid = 1')

  function words(text: string): string[] {
    if (ASCII.test(text)) return text.match(/[A-Za-z0-9]+/g) ?? []
    ask.run(text)
    const found = read.all().map(({ term }) => String(term))
    forget.run()
    return found
  }

  return { words, close: () => db.close() }
}
