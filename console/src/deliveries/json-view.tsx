import { useMemo } from 'react'

/** Lines that are drawn: a payload of a megabyte is for the raw view. */
const LINES = 2000
/** Of one value. */
const CHARS = 2000

type Line = { depth: number; pointer: string; name: string | null; text: string; kind: 'open' | 'close' | Leaf }
type Leaf = 'string' | 'number' | 'word'

const COLOURS: Record<Line['kind'], string> = {
  open: 'text-muted',
  close: 'text-muted',
  string: 'text-good',
  number: 'text-accent-strong',
  word: 'text-warn',
}

/**
 * A payload, a value a line. `marks` names lines, by their pointer, with the fields that come from them; `lit` are the ones
 * that are pointed at. With `onChoose` each value is a button.
 */
export function JsonView({
  value,
  marks = {},
  lit = [],
  onChoose,
}: {
  value: unknown
  marks?: Record<string, string[]>
  lit?: readonly string[]
  onChoose?: (pointer: string) => void
}) {
  const { lines, isCut } = useMemo(() => linesOf(value), [value])
  return (
    <div className="overflow-hidden py-2 font-mono text-xs leading-5">
      {lines.map((line, index) => (
        <LineView
          key={index}
          line={line}
          fields={line.kind === 'close' ? [] : (marks[line.pointer] ?? [])}
          isLit={line.kind !== 'close' && lit.includes(line.pointer)}
          onChoose={onChoose}
        />
      ))}
      {isCut && <p className="px-3 pt-2 font-sans text-muted">The rest is in the raw body.</p>}
    </div>
  )
}

function LineView({
  line: { depth, name, text, kind, pointer },
  fields,
  isLit,
  onChoose,
}: {
  line: Line
  fields: readonly string[]
  isLit: boolean
  onChoose: ((pointer: string) => void) | undefined
}) {
  const content = (
    <>
      {name !== null && <span className="text-ink">{name}: </span>}
      <span className={`${COLOURS[kind]} wrap-anywhere whitespace-pre-wrap`}>{text}</span>
      {fields.map((field) => (
        <span key={field} className="ml-2 rounded bg-accent px-1 font-sans text-on-accent">
          {field}
        </span>
      ))}
    </>
  )
  const look = `block w-full px-3 text-left ${isLit ? 'bg-accent-soft' : ''}`
  const indent = { paddingLeft: `${0.75 + Math.min(depth, 20) * 1.1}rem` }
  const isValue = kind !== 'open' && kind !== 'close'
  if (onChoose && isValue) {
    return (
      <button
        type="button"
        className={`${look} min-h-6 hover:bg-raised`}
        style={indent}
        onClick={() => onChoose(pointer)}
      >
        {content}
      </button>
    )
  }
  return (
    <div className={look} style={indent} data-pointer={pointer} data-lit={isLit || undefined}>
      {content}
    </div>
  )
}

const escaped = (key: string) => key.replaceAll('~', '~0').replaceAll('/', '~1')

function linesOf(root: unknown): { lines: Line[]; isCut: boolean } {
  const lines: Line[] = []
  const visit = (value: unknown, name: string | null, pointer: string, depth: number): void => {
    if (lines.length >= LINES) return
    if (typeof value !== 'object' || value === null) {
      const leaf = leafOf(value)
      return void lines.push({ depth, pointer, name, ...leaf })
    }
    const isList = Array.isArray(value)
    const children: [string, unknown][] = isList
      ? value.map((child, index) => [String(index), child])
      : Object.entries(value)
    if (children.length === 0)
      return void lines.push({ depth, pointer, name, text: isList ? '[]' : '{}', kind: 'open' })
    lines.push({ depth, pointer, name, text: isList ? '[' : '{', kind: 'open' })
    for (const [key, child] of children) visit(child, isList ? null : key, `${pointer}/${escaped(key)}`, depth + 1)
    if (lines.length < LINES) lines.push({ depth, pointer, name: null, text: isList ? ']' : '}', kind: 'close' })
  }
  visit(root, null, '', 0)
  return { lines, isCut: lines.length >= LINES }
}

function leafOf(value: unknown): { text: string; kind: Leaf } {
  if (typeof value === 'string') {
    const cut = value.length > CHARS ? `${value.slice(0, CHARS)}…` : value
    return { text: JSON.stringify(cut), kind: 'string' }
  }
  return { text: String(value), kind: typeof value === 'number' ? 'number' : 'word' }
}
