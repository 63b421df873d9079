import jsonata from 'jsonata'
import { RE2JS } from 're2js'

/**
 * JSONata, for expressions that somebody else wrote over payloads that somebody else sends. What one may cost is
 * counted in steps, which depend on nothing but the expression and the payload, so that a replay gets the same verdict.
 */
export type Expression = (payload: unknown, headers: Record<string, unknown> | null) => Promise<unknown>

/** An expression that does not compile or evaluate. The message never quotes the payload: it goes into the log. */
export class ExpressionError extends Error {}

const MAX_LENGTH = 4000
/** Real expressions stay below a thousand. One step is a node evaluated once, or some 128 characters made. */
const MAX_STEPS = 25_000
/** Values in one value that an expression makes, each counted as often as it occurs in it. */
const MAX_SIZE = 250_000
const MAX_DEPTH = 64
const MAX_ITEMS = 50_000
/** JSONata's own count is of what is evaluated at once, and the items of an array are: half of the longest expression. */
const MAX_STACK = 4000
/** For what no step counts. A map that meets it is refused on a slow machine and not on a fast one. */
const BACKSTOP_MS = 10_000
const MAX_PROGRAM = 300

const UNAVAILABLE: Readonly<Record<string, string>> = {
  now: 'a map gives the same each time a delivery is replayed; take the time from the payload',
  millis: 'a map gives the same each time a delivery is replayed; take the time from the payload',
  random: 'a map gives the same each time a delivery is replayed',
  shuffle: 'a map gives the same each time a delivery is replayed',
  eval: 'write the expression itself',
  clone: 'values never change, so nothing has to be copied',
}

// What JSONata hands to its callbacks, as far as it is used here. Not in its types.
type Node = { type: string; value?: unknown; lhs?: unknown; group?: unknown }
type Base = { meter?: Meter; RegexEngine: unknown; options: unknown; timestamp: Date }
type Environment = { base: Base; lookup: (name: string) => unknown }
type Native = { _jsonata_function: true; implementation: NativeCall; signature?: unknown; arity?: number }
type NativeCall = (this: { environment: Environment }, ...args: unknown[]) => unknown

const ENTRY = Symbol.for('jsonata.__evaluate_entry')
const EXIT = Symbol.for('jsonata.__evaluate_exit')

type Meter = { charge: (steps: number) => void; left: () => number; sizeOf: (value: unknown) => number }

function createMeter(): Meter {
  let left = MAX_STEPS
  // Values never change here, so that each is measured once however often it is held.
  const known = new WeakMap<object, { size: number; depth: number }>()

  function measure(value: unknown): { size: number; depth: number } {
    if (typeof value === 'string') return { size: 1 + (value.length >> 6), depth: 0 }
    if (typeof value !== 'object' || value === null || isCallable(value)) return { size: 1, depth: 0 }
    const before = known.get(value)
    if (before !== undefined) return before
    const sum = { size: 1, depth: 0 }
    for (const child of Array.isArray(value) ? value : Object.values(value)) {
      const { size, depth } = measure(child)
      sum.size += size
      if (depth > sum.depth) sum.depth = depth
    }
    sum.depth += 1
    if (sum.size > MAX_SIZE) throw new ExpressionError('makes a value that is too large')
    if (sum.depth > MAX_DEPTH * 2) throw new ExpressionError('makes a value that is nested too deep')
    known.set(value, sum)
    return sum
  }

  return {
    charge: (steps) => {
      left -= steps
      if (left < 0) throw new ExpressionError('took too many steps')
    },
    left: () => left,
    sizeOf: (value) => measure(value).size,
  }
}

/** Functions of JSONata are objects; a payload may have their marks, but never a function in it. */
function isCallable(value: object): boolean {
  if (typeof value === 'function') return true
  const { implementation, environment } = value as { implementation?: unknown; environment?: { lookup?: unknown } }
  return typeof implementation === 'function' || typeof environment?.lookup === 'function'
}

/** Compiles once. Throws ExpressionError with the position of the fault. */
export function compileExpression(source: string): Expression {
  if (source.length > MAX_LENGTH) throw new ExpressionError(`is longer than ${MAX_LENGTH} characters`)
  const regexes = new Map<RegExp, Compiled>()
  let expression: jsonata.Expression
  try {
    expression = jsonata(source, {
      timeout: BACKSTOP_MS,
      stack: MAX_STACK,
      RegexEngine: engineOf(createMeter(), regexes) as unknown as RegExpConstructor,
    })
  } catch (error) {
    throw explained(error)
  }
  const { compared, keys, variables } = survey(expression.ast(), regexes)
  for (const name of variables) {
    const native = NATIVES.get(name)
    if (native !== undefined) expression.assign(name, native)
  }

  const enter = (node: Node, input: unknown, { base }: Environment): void => {
    const meter = (base.meter ??= startMeter(base, regexes))
    // A group copies what it has of a key for each item more.
    meter.charge(keys.has(node) ? 5 : 1)
    if (node.type === 'wildcard' && typeof input === 'object' && input !== null) {
      meter.charge(Object.keys(input).length ** 2 / 128)
    }
  }
  const leave = (node: Node, _input: unknown, { base: { meter } }: Environment, result: unknown): void => {
    if (meter === undefined) return
    if (typeof result === 'string') {
      // An object with a function of this name is taken for a promise, by the language itself.
      if (result === 'then' && keys.has(node)) throw new ExpressionError('may not name a property "then"')
      if (node.type === 'binary' || node.type === 'function' || node.type === 'apply') meter.charge(result.length >> 7)
    } else if (typeof result === 'object' && result !== null) {
      if (Array.isArray(result)) meter.charge(result.length >> 3)
      if (compared.has(node)) meter.charge(meter.sizeOf(result) >> 3)
      else if (isMade(node, result)) meter.sizeOf(result)
    }
  }
  // By symbol: names that an expression cannot say. The types know of names only.
  expression.assign(ENTRY as unknown as string, enter)
  expression.assign(EXIT as unknown as string, leave)

  return async (payload, headers) => {
    try {
      return plain(await inTurn(() => expression.evaluate(payload, headers === null ? undefined : { headers })))
    } catch (error) {
      throw explained(error)
    }
  }
}

let turn: Promise<unknown> = Promise.resolve()

/** One after the other: evaluated at once they would take no less, and each would wait for all of the others. */
function inTurn(evaluate: () => Promise<unknown>): Promise<unknown> {
  const mine = turn.then(evaluate)
  turn = mine.catch(() => undefined)
  return mine
}

function startMeter(base: Base, regexes: Map<RegExp, Compiled>): Meter {
  const meter = createMeter()
  base.RegexEngine = engineOf(meter, regexes)
  base.options = { sequence: MAX_ITEMS } // of a range; given to JSONata as an option it slows each sequence
  base.timestamp = new Date(0) // what is missing of a time that $toMillis reads is not today's
  return meter
}

/** Whether the value is new, not a part of one that was there. A path holds several of them. */
const isMade = ({ type, group }: Node, result: object): boolean =>
  type === 'unary' ||
  type === 'function' ||
  type === 'apply' ||
  group !== undefined ||
  (type === 'path' && Array.isArray(result) && result.length > 1)

type Survey = { compared: WeakSet<object>; keys: WeakSet<object>; variables: Set<string> }

/** What the tree has in it that has to be watched. Throws for what is not available. */
function survey(root: unknown, regexes: Map<RegExp, Compiled>): Survey {
  const found: Survey = { compared: new WeakSet(), keys: new WeakSet(), variables: new Set() }
  const seen = new Set<unknown>()
  const waiting: unknown[] = [root]
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (typeof node !== 'object' || node === null || seen.has(node)) continue
    seen.add(node)
    if (node instanceof RegExp) regexes.set(node, compileRegex(node))
    else {
      if ('type' in node) watch(node as Record<string, unknown>, found)
      waiting.push(...Object.values(node).filter((child) => typeof child === 'object'))
    }
  }
  return found
}

const COMPARING = new Set(['=', '!=', 'in', '&', 'and', 'or'])

function watch(node: Record<string, unknown>, { compared, keys, variables }: Survey): void {
  const at = typeof node['position'] === 'number' ? ` (at character ${node['position']})` : ''
  if (node['type'] === 'transform') {
    throw new ExpressionError(`uses | … |, which is not available; build the object with { } or $merge${at}`)
  }
  if (node['type'] === 'lambda' && node['signature'] !== undefined) {
    throw new ExpressionError(`declares the types of a function, which is not available; leave the <…> out${at}`)
  }
  if (node['type'] === 'variable' && typeof node['value'] === 'string') {
    const why = Object.hasOwn(UNAVAILABLE, node['value']) ? UNAVAILABLE[node['value']] : undefined
    if (why !== undefined) throw new ExpressionError(`uses $${node['value']}, which is not available: ${why}${at}`)
    variables.add(node['value'])
  }
  const operands =
    node['type'] === 'binary' && COMPARING.has(String(node['value'])) ? [node['lhs'], node['rhs']] : [node['condition']]
  // The test of a filter stands in the node that says it is one.
  for (const one of [...operands, node['expr']]) if (typeof one === 'object' && one !== null) compared.add(one)
  const pairs: unknown = node['type'] === 'unary' && node['value'] === '{' ? node['lhs'] : groupOf(node['group'])
  if (Array.isArray(pairs)) {
    for (const pair of pairs) if (Array.isArray(pair) && typeof pair[0] === 'object') keys.add(pair[0] as object)
  }
}

const groupOf = (group: unknown): unknown =>
  typeof group === 'object' && group !== null && 'lhs' in group ? group.lhs : null

type Compiled = { re: RE2JS; size: number }

function compileRegex(regex: RegExp): Compiled {
  try {
    const flags = (regex.ignoreCase ? RE2JS.CASE_INSENSITIVE : 0) | (regex.multiline ? RE2JS.MULTILINE : 0)
    const re = RE2JS.compile(RE2JS.translateRegExp(regex.source), flags)
    const size = re.programSize()
    if (size <= MAX_PROGRAM) return { re, size }
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace('error parsing regexp: ', '') : ''
    throw new ExpressionError(`/${regex.source}/ is not available: ${reason}; no look-around, no back-references`)
  }
  throw new ExpressionError(`/${regex.source}/ is too large: repeat less`)
}

/** RE2 in the place of RegExp, as far as JSONata uses it: `lastIndex` and `exec`. It never backtracks. */
function engineOf(meter: Meter, regexes: Map<RegExp, Compiled>) {
  return function Engine(regex: RegExp) {
    const { re, size } = regexes.get(regex) ?? compileRegex(regex)
    const engine = {
      lastIndex: 0,
      exec: (text: unknown) => {
        if (typeof text !== 'string') throw new ExpressionError('matches a regular expression with what is no text')
        const from = engine.lastIndex
        // All that is left may have to be read; what was not is not counted.
        if (((text.length - from) * size) / 256 > meter.left()) meter.charge(meter.left() + 1)
        const matcher = re.matcher(text)
        const isFound = matcher.find(from)
        engine.lastIndex = isFound ? matcher.end() : 0
        meter.charge(1 + (((isFound ? matcher.end() : text.length) - from) * size) / 256)
        if (!isFound) return null
        const groups = Array.from({ length: matcher.groupCount() + 1 }, (_, index) => matcher.group(index) ?? undefined)
        return Object.assign(groups, { index: matcher.start() })
      },
    }
    return engine
  }
}

/** They look at no more of their argument than how long it is. */
const SHALLOW = new Set('exists type count lookup append map filter reduce each sift single reverse'.split(' '))

/** A date or number picture: with native expressions made of it, only what cannot be read in two ways is allowed. */
const PICTURE = /^(?:\[[YMDdHhPmsfZzF](?:0*1|Nn?|n)?(?:,[-*\d]{1,5})?\](?:[^\w[\]]{1,9}|T|$))+$/

const textLength = (value: unknown): number => (typeof value === 'string' ? value.length : 0)

/** What the result may cost, before it is made. Sizes in characters, which are charged as those of any other text. */
const COSTS: Readonly<Record<string, (args: unknown[]) => number>> = {
  pad: ([, width, filler]) => Math.abs(Number(width) || 0) * Math.max(1, textLength(filler)),
  join: ([texts, separator]) => (Array.isArray(texts) ? texts.length * textLength(separator) : 0),
  spread: ([list]) => (Array.isArray(list) ? list.length ** 2 : 0),
  distinct: ([list]) => (Array.isArray(list) ? list.length ** 2 * 8 : 0),
  sort: ([list]) => (Array.isArray(list) ? list.length * 512 : 0),
  replace: ([text, pattern, replacement]) => {
    if (typeof text !== 'string' || typeof replacement !== 'string') return 0
    if (typeof pattern === 'string') return (text.split(pattern).length - 1) * replacement.length
    const groups = replacement.split('$').length - 1
    return (text.length + 1) * (replacement.length - groups) + groups * text.length
  },
}

function checkPicture(name: string, args: unknown[]): void {
  if (name === 'toMillis' && args[1] !== undefined && (textLength(args[0]) > 64 || !PICTURE.test(String(args[1])))) {
    throw new ExpressionError('$toMillis takes a picture such as "[D]/[M]/[Y] [H]:[m]:[s]" of a text of 64 characters')
  }
  const isPicture = /^(?:format|fromMillis|parseInteger)/.test(name)
  if (isPicture && args.slice(1).some((text) => textLength(text) > 100 || /\d{4}/.test(String(text)))) {
    throw new ExpressionError(`$${name} takes a picture of at most 100 characters and no width above 999`)
  }
}

function metered(name: string, native: Native): Native {
  const call: NativeCall = function call(...args) {
    const { meter } = this.environment.base
    if (meter === undefined) return undefined
    meter.charge(1 + (COSTS[name]?.(args) ?? 0) / 128)
    for (const arg of args) {
      if (typeof arg === 'string') meter.charge(arg.length >> 7)
      else if (typeof arg !== 'object' || arg === null) continue
      else if (SHALLOW.has(name)) meter.charge(Array.isArray(arg) ? arg.length >> 3 : 0)
      else meter.charge(meter.sizeOf(arg) >> 2)
    }
    checkPicture(name, args)
    // Laid out for reading it could be larger than it is by its depth.
    const result = native.implementation.apply(this, name === 'string' ? args.slice(0, 1) : args)
    if (typeof result === 'string') meter.charge(result.length >> 7)
    return result
  }
  // JSONata reads the names of a function's arguments off its text when some of them are given in advance.
  call.toString = () => native.implementation.toString()
  return { ...native, implementation: call, arity: native.implementation.length }
}

const NAMES =
  'sum count max min average string substring substringBefore substringAfter lowercase uppercase length trim pad ' +
  'match contains replace split join formatNumber formatBase formatInteger parseInteger number floor ceil round abs ' +
  'sqrt power boolean not map zip filter single reduce sift keys lookup append exists spread merge reverse each ' +
  'error assert type sort distinct base64encode base64decode encodeUrlComponent encodeUrl decodeUrlComponent ' +
  'decodeUrl toMillis fromMillis'

/** JSONata's functions, metered. It shows them to a callback alone, which it calls before it first waits. */
const NATIVES: ReadonlyMap<string, Native> = (() => {
  const natives = new Map<string, Native>()
  const probe = jsonata('0')
  probe.assign(ENTRY as unknown as string, (_node: unknown, _input: unknown, { lookup }: Environment) => {
    for (const name of NAMES.split(' ')) natives.set(name, metered(name, lookup(name) as Native))
  })
  void probe.evaluate(null)
  return natives
})()

/** The value without what JSONata marks arrays with, its own from there on. Throws ExpressionError when it is too deep. */
export function plain(value: unknown, depth = 0): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) return null
  if (typeof value === 'function') throw new ExpressionError('gives a function; call it')
  if (typeof value !== 'object' || value === null) return value
  if (depth > MAX_DEPTH) throw new ExpressionError(`has a value nested deeper than ${MAX_DEPTH} levels`)
  if (isCallable(value)) throw new ExpressionError('gives a function; call it')
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1) ?? null)
  const copy: Record<string, unknown> = {}
  for (const [key, child] of Object.entries(value)) {
    const kept = plain(child, depth + 1)
    if (kept === undefined) continue
    if (key === '__proto__') Object.defineProperty(copy, key, { value: kept, enumerable: true, writable: true })
    else copy[key] = kept
  }
  return copy
}

const REASONS: Readonly<Record<string, string>> = {
  D1011: 'took too many steps at once',
  D1012: 'took too long',
  D2014: `makes more than ${MAX_ITEMS} values`,
  D2015: `makes more than ${MAX_ITEMS} values`,
}

/** JSONata throws plain objects, with the value at fault in them and in their message. */
function explained(error: unknown): ExpressionError {
  if (error instanceof ExpressionError) return error
  const { code, message, position, value, value2, exp } = error as Record<string, unknown>
  if (typeof code !== 'string') return new ExpressionError('does not fit this payload: it has another shape')
  const at = typeof position === 'number' ? ` (at character ${position})` : ''
  let text = REASONS[code] ?? String(message ?? code)
  // A syntax error quotes the expression, which is its owner's; any other quotes the payload.
  for (const said of code.startsWith('S') ? [] : [value, value2, exp]) {
    const quoted = quotedAs(said)
    if (quoted !== undefined) text = text.replaceAll(quoted, '…')
  }
  return new ExpressionError(`${text.slice(0, 300).toWellFormed()}${at}`)
}

/** As JSONata quotes it; a function has itself in it and cannot be quoted. */
function quotedAs(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}
