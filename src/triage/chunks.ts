import { marked } from 'marked'

import { ARTICLE_LIMIT, type ArticleText, type Chunk, withoutFrontMatter } from '../core/article.ts'
import { htmlToText } from '../core/html.ts'
import { cleanText } from '../core/text.ts'

const WORDS = 200
const CHUNK_LIMIT = 1000

/** An article in pieces of about 200 words, cut at headings first, then between paragraphs, then between sentences. */
export function chunksOf({ title, body, format }: Pick<ArticleText, 'title' | 'body' | 'format'>): Chunk[] {
  const chunks: Chunk[] = []
  for (const { heading, text } of sectionsOf(body.slice(0, ARTICLE_LIMIT), format)) {
    for (const piece of piecesOf(text)) {
      if (chunks.length >= CHUNK_LIMIT) return chunks
      chunks.push({ heading: heading === '' || heading === title ? title : `${title} › ${heading}`, text: piece })
    }
  }
  return chunks
}

function sectionsOf(body: string, format: ArticleText['format']): { heading: string; text: string }[] {
  if (format === 'text') return [{ heading: '', text: cleanText(body) }]
  const html = format === 'html' ? body : marked.parse(withoutFrontMatter(body), { async: false })
  const [before = '', ...parts] = html.split(/<h[1-6]\b[^<>]*>/i)
  const sections = [{ heading: '', text: htmlToText(before) }]
  for (const part of parts) {
    const end = part.search(/<\/h[1-6]\s*>/i)
    const heading = end < 0 ? '' : htmlToText(part.slice(0, end)).replaceAll(/\s+/g, ' ')
    sections.push({ heading, text: htmlToText(end < 0 ? part : part.slice(end)) })
  }
  return sections
}

function piecesOf(text: string): string[] {
  const pieces: string[] = []
  let [piece, size] = ['', 0]
  const close = () => {
    if (piece !== '') pieces.push(piece)
    ;[piece, size] = ['', 0]
  }
  for (const { part, joint } of partsOf(text)) {
    const count = countWords(part)
    if (size > 0 && size + count > WORDS) close()
    piece += piece === '' ? part : joint + part
    size += count
  }
  close()
  return pieces
}

/** Paragraphs; of a long one its sentences; of a long sentence so many words. */
function partsOf(text: string): { part: string; joint: string }[] {
  return text.split(/\n{2,}/).flatMap((paragraph) => {
    const whole = paragraph.trim()
    if (whole === '') return []
    if (countWords(whole) <= WORDS) return [{ part: whole, joint: '\n\n' }]
    return [...SENTENCES.segment(whole)].flatMap(({ segment }) => {
      const words = segment.trim().split(/\s+/)
      const count = Math.ceil(words.length / WORDS)
      return Array.from({ length: count }, (_, at) => ({
        part: words.slice(at * WORDS, (at + 1) * WORDS).join(' '),
        joint: ' ',
      }))
    })
  })
}

const SENTENCES = new Intl.Segmenter('en', { granularity: 'sentence' })

const countWords = (text: string): number => text.match(/\S+/g)?.length ?? 0
