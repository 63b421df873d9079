import jsonata from 'jsonata'
import { RE2JS } from 're2js'

import { AppError, fail } from './errors.ts'
import { isObject } from './json.ts'

/** Evaluated parts of an expression, so many for one payload: the same payload has the same verdict each time. */
const STEPS = 20_000
/** Calls within calls. */
const DEPTH = 300
/** Characters and items that any part of an expression may come to. */
const TEXT_LIMIT = 1_048_576
const ITEMS_LIMIT = 100_000
/** For what the steps do not see; far longer than they take. */
const TIMEOUT_MS = 2_000

/** What is not the same each time, or what no bound holds. */
const FORBIDDEN = new Set(['eval', 'now', 'millis', 'random', 'shuffle'])

const ENTRY = Symbol.for('jsonata.__evaluate_entry')
const EXIT = Symbol.for('jsonata.__evaluate_exit')

/** An expression ready to run. Throws AppError `malformed` with what went wrong. */
export type Expression = (payload: unknown, bindings: Record<string, unknown>) => Promise<unknown>

/**
 * Compiles a JSONata expression that no payload can keep busy: its steps are counted, what it builds is measured, and
 * its patterns are matched by RE2, which knows no backtracking. Throws AppError `malformed`.
 */
export function compileExpression(source: string): Expression {
  const expression = attempt(() =>
    jsonata(source, { RegexEngine: Pattern as never, stack: DEPTH, timeout: TIMEOUT_MS }),
  )
  check(expression.ast())
  expression.registerFunction('pad', pad, '<s-ns?:s>')
  expression.registerFunction('distinct', distinct, '<x:x>')
  const spent = new WeakMap<object, number>()
  // The hooks are shared by all evaluations at once; each has a base of its own.
  expression.assign(ENTRY as never, (_part: unknown, _input: unknown, { base }: { base: object }) => {
    const steps = (spent.get(base) ?? 0) + 1
    if (steps > STEPS) fail('malformed', `it takes more than ${STEPS.toLocaleString('en-US')} steps for this body`)
    spent.set(base, steps)
  })
  expression.assign(EXIT as never, (_part: unknown, _input: unknown, _environment: unknown, result: unknown) => {
    const isLarge =
      (typeof result === 'string' && result.length > TEXT_LIMIT) ||
      (Array.isArray(result) && result.length > ITEMS_LIMIT)
    if (isLarge) fail('malformed', 'it builds something too large from this body')
  })
  return async (payload, bindings) => {
    try {
      return plain(await expression.evaluate(payload, bindings))
    } catch (error) {
      throw faultOf(error)
    }
  }
}

function attempt<T>(compile: () => T): T {
  try {
    return compile()
  } catch (error) {
    throw faultOf(error)
  }
}

/** JSONata throws plain objects, with a message and a place. */
function faultOf(error: unknown): AppError {
  if (error instanceof AppError) return error
  const said = isObject(error) || error instanceof Error ? (error as { message?: unknown; position?: unknown }) : {}
  const at = typeof said.position === 'number' ? ` (at character ${said.position})` : ''
  const message = typeof said.message === 'string' ? said.message : 'it cannot be evaluated'
  return new AppError('malformed', message + at)
}

/** Looks at each part before any payload does. */
function check(root: unknown): void {
  const seen = new Set<unknown>()
  const visit = (part: unknown): void => {
    if (typeof part !== 'object' || part === null || seen.has(part)) return
    seen.add(part)
    const { type, value } = part as { type?: unknown; value?: unknown }
    if (type === 'variable' && typeof value === 'string' && FORBIDDEN.has(value)) {
      fail('malformed', `$${value} is not available here: a body has to come to the same each time`)
    }
    if (type === 'binary' && value === '..') fail('malformed', 'ranges (..) are not available here')
    if (type === 'regex' && value instanceof RegExp) compiled(value)
    for (const child of Object.values(part)) visit(child)
  }
  visit(root)
}

const patterns = new WeakMap<RegExp, RE2JS>()

function compiled(pattern: RegExp): RE2JS {
  const known = patterns.get(pattern)
  if (known !== undefined) return known
  const flags = (pattern.ignoreCase ? RE2JS.CASE_INSENSITIVE : 0) | (pattern.multiline ? RE2JS.MULTILINE : 0)
  try {
    const made = RE2JS.compile(RE2JS.translateRegExp(pattern.source), flags)
    patterns.set(pattern, made)
    return made
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return fail('malformed', `/${pattern.source}/ is no pattern of RE2 (no look-around, no back-references): ${reason}`)
  }
}

/** As much of RegExp as JSONata uses. */
class Pattern {
  lastIndex = 0
  readonly #pattern: RE2JS

  constructor(pattern: RegExp) {
    this.#pattern = compiled(pattern)
  }

  exec(text: string): (Array<string | undefined> & { index: number }) | null {
    const matcher = this.#pattern.matcher(text)
    if (this.lastIndex > text.length || !matcher.find(this.lastIndex)) return null
    this.lastIndex = matcher.end()
    const groups = Array.from({ length: matcher.groupCount() + 1 }, (_, group) => matcher.group(group) ?? undefined)
    return Object.assign(groups, { index: matcher.start() })
  }
}

/** Pads like JSONata's own, which makes whatever length it is asked for. */
function pad(text: string | undefined, width: number, filler = ' '): string | undefined {
  if (text === undefined) return undefined
  if (Math.abs(width) > 10_000) fail('malformed', '$pad pads to 10,000 characters at most')
  return width < 0 ? text.padStart(-width, filler || ' ') : text.padEnd(width, filler || ' ')
}

/** The first of each, like JSONata's own, which compares each item with each other. */
function distinct(list: unknown): unknown {
  if (!Array.isArray(list)) return list
  const first = new Map<string, unknown>()
  for (const item of list) {
    const key = `${typeof item} ${JSON.stringify(item)}`
    if (!first.has(key)) first.set(key, item)
  }
  return [...first.values()]
}

/** Data alone, with none of what JSONata hangs on its lists; undefined where there is nothing. */
function plain(result: unknown): unknown {
  if (typeof result !== 'object' || result === null) {
    if (typeof result === 'function') fail('malformed', 'it yields a function')
    return typeof result === 'number' && !Number.isFinite(result) ? null : result
  }
  if ('_jsonata_lambda' in result || '_jsonata_function' in result) fail('malformed', 'it yields a function')
  const text = JSON.stringify(result)
  if (text.length > TEXT_LIMIT) fail('malformed', 'it builds something too large from this body')
  return JSON.parse(text)
}
