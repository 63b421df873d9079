import { fieldsOf, text } from './fields.ts'
import { isObject } from './json.ts'
import { cleanText } from './text.ts'

type Node = Readonly<Record<string, unknown>>

export const isAdf = (value: unknown): value is Node =>
  isObject(value) && (value['type'] === 'doc' || Array.isArray(value['content']))

/**
 * Atlassian Document Format to the text that a reader sees. A node that this does not know is looked into, so that
 * no sentence is lost to a node type of tomorrow. The depth is bounded by the JSON that it came in.
 */
export function adfToText(document: Node): string {
  return cleanText(block(document).replace(/\n{3,}/g, '\n\n'))
}

const children = (node: Node): Node[] => (Array.isArray(node['content']) ? node['content'].filter(isObject) : [])
const typeOf = (node: Node): string => (typeof node['type'] === 'string' ? node['type'] : '')
const attribute = (node: Node, ...names: string[]) => text(fieldsOf(node['attrs']), ...names)

const INLINE = new Set([
  'text',
  'hardBreak',
  'mention',
  'emoji',
  'inlineCard',
  'status',
  'date',
  'mediaInline',
  'placeholder',
])

function block(node: Node): string {
  const type = typeOf(node)
  if (INLINE.has(type)) return inline(node)
  if (type === 'bulletList') return items(node, () => '- ')
  if (type === 'orderedList') return items(node, (index) => `${index + Number(attribute(node, 'order') ?? 1)}. `)
  if (type === 'taskList' || type === 'decisionList') return items(node, (_, item) => boxOf(item))
  if (type === 'blockquote') return lines(node, '\n').replace(/^/gm, '> ')
  if (type === 'tableRow') return children(node).map(block).join(' | ')
  if (type === 'media') return '[attachment]'
  if (type === 'rule') return '---'
  if (type === 'expand' || type === 'nestedExpand')
    return [attribute(node, 'title') ?? '', lines(node, '\n')].join('\n')
  if (type === 'blockCard' || type === 'embedCard') return attribute(node, 'url') ?? ''
  const inner = children(node)
  if (inner.length === 0) return attribute(node, 'text', 'title', 'url') ?? ''
  return inner.every((one) => INLINE.has(typeOf(one)))
    ? inner.map(inline).join('')
    : lines(node, type === 'doc' ? '\n\n' : '\n')
}

const lines = (node: Node, between: string) =>
  children(node)
    .map(block)
    .filter((line) => line !== '')
    .join(between)

function items(node: Node, prefix: (index: number, item: Node) => string): string {
  return children(node)
    .map((item, index) => prefix(index, item) + block(item).replaceAll('\n', '\n  '))
    .join('\n')
}

const boxOf = (item: Node) => (attribute(item, 'state') === 'DONE' ? '[x] ' : '[ ] ')

function inline(node: Node): string {
  const type = typeOf(node)
  if (type === 'hardBreak') return '\n'
  if (type === 'text') return linked(node)
  if (type === 'mention') return attribute(node, 'text', 'id') ?? ''
  if (type === 'emoji') return attribute(node, 'text', 'shortName') ?? ''
  if (type === 'date') return dateOf(attribute(node, 'timestamp'))
  if (type === 'mediaInline') return '[attachment]'
  return attribute(node, 'text', 'url') ?? lines(node, '')
}

function linked(node: Node): string {
  const said = typeof node['text'] === 'string' ? node['text'] : ''
  const marks = Array.isArray(node['marks']) ? node['marks'].filter(isObject) : []
  const link = marks.find((mark) => typeOf(mark) === 'link')
  const href = link === undefined ? null : attribute(link, 'href')
  return href === null || href === said ? said : `${said} (${href})`
}

function dateOf(timestamp: string | null): string {
  const date = new Date(Number(timestamp))
  return Number.isNaN(date.getTime()) ? (timestamp ?? '') : date.toISOString().slice(0, 10)
}
