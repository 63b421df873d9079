import { AppError } from '../core/errors.ts'
import { isObject } from '../core/json.ts'

/** Values that are tried, and how long that may take: what is shown beside a payload is no reason to wait. */
const LEAVES = 400
const PATIENCE_MS = 400
/** A value that changes more fields than this says what kind of event it is, and is nobody's origin. */
const FIELDS = 6
/** Readings between which others have their turn. */
const TURN = 25

/** Names and values of a ticket, flat: `title`, `ticket_metadata.department`. Null where it is no ticket. */
export type Read = (payload: Record<string, unknown>) => Promise<Map<string, string> | null>

type Path = readonly (string | number)[]
type Leaf = string | number | boolean

/**
 * Which values of a payload each field is made of, as JSON pointers (RFC 6901). Found by trying: each value is changed
 * in turn, and what changes with it comes from it. So it holds for every platform and for every expression of a field
 * map, none of which has to say what it reads.
 */
export async function originsOf(payload: Record<string, unknown>, read: Read): Promise<Record<string, string[]>> {
  const origins = new Map<string, string[]>()
  const plain = await read(payload)
  if (plain === null) return {}
  const deadline = performance.now() + PATIENCE_MS
  let turns = 0
  for (const { path, value } of leavesOf(payload)) {
    if (performance.now() > deadline) break
    const changed = new Set<string>()
    for (const other of othersOf(value)) {
      const found = await attempt(read, replaced(payload, path, other) as Record<string, unknown>)
      for (const field of found === null ? [] : differences(plain, found)) changed.add(field)
      turns += 1
      if (turns % TURN === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    if (changed.size > FIELDS) continue
    for (const field of changed) origins.set(field, [...(origins.get(field) ?? []), pointerOf(path)])
  }
  return Object.fromEntries(origins)
}

async function attempt(read: Read, payload: Record<string, unknown>): Promise<Map<string, string> | null> {
  try {
    return await read(payload)
  } catch (error) {
    if (error instanceof AppError) return null
    throw error
  }
}

function differences(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): string[] {
  return [...new Set([...one.keys(), ...other.keys()])].filter((field) => one.get(field) !== other.get(field))
}

/** Shallow ones first: they say most. */
function leavesOf(root: unknown): { path: Path; value: Leaf }[] {
  const leaves: { path: Path; value: Leaf }[] = []
  let level: { path: Path; value: unknown }[] = [{ path: [], value: root }]
  while (level.length > 0 && leaves.length < LEAVES) {
    for (const { path, value } of level) if (isLeaf(value)) leaves.push({ path, value })
    // No wider than what is tried of it.
    level = level.flatMap(({ path, value }) =>
      childrenOf(value).map(([step, child]) => ({ path: [...path, step], value: child })),
    )
    level = level.slice(0, LEAVES * 4)
  }
  return leaves.slice(0, LEAVES)
}

const isLeaf = (value: unknown): value is Leaf =>
  typeof value === 'boolean' || typeof value === 'number' || (typeof value === 'string' && value !== '')

function childrenOf(value: unknown): (readonly [string | number, unknown])[] {
  if (Array.isArray(value)) return value.slice(0, LEAVES).map((child: unknown, index) => [index, child] as const)
  return isObject(value) ? Object.entries(value) : []
}

/** What may stand there instead: something alike, and for a short word one that means something to many. */
function othersOf(value: Leaf): Leaf[] {
  if (typeof value === 'boolean') return [!value]
  if (typeof value === 'number') return [value + 1]
  if (/^\d{1,15}$/.test(value)) return [String(Number(value) + 1)]
  const time = Date.parse(value)
  if (/^\d{4}-\d\d-\d\d[T ]/.test(value) && !Number.isNaN(time)) return [new Date(time + 1000).toISOString()]
  if (value.length > 20) return [`${value}x`]
  return [`${value}x`, value.toLowerCase() === 'urgent' ? 'low' : 'urgent']
}

/** The payload with another value at the path; the rest is shared, not copied. */
function replaced(node: unknown, [step, ...rest]: Path, value: unknown): unknown {
  if (step === undefined) return value
  if (Array.isArray(node)) return node.with(Number(step), replaced(node[Number(step)], rest, value))
  if (!isObject(node)) return node
  // fromEntries defines each key, so that one named __proto__ stays data.
  return Object.fromEntries(
    Object.entries(node).map(([key, child]) => [key, key === step ? replaced(child, rest, value) : child]),
  )
}

const pointerOf = (path: Path) =>
  path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
