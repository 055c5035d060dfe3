import { errors, shown } from '../errors.ts'

/** Where the ids of an entity stand in a payload: `items[].id` is the steps `items`, each, `id`. */
interface Step { readonly member: string, readonly each: boolean }
export type EntityPaths = ReadonlyArray<{ readonly entity: string, readonly steps: readonly Step[] }>

const STEP = /^([^[\].]*)(\[\])?$/

/**
 * Reads `{ product: 'items[].id', brand: ['brand.id', 'items[].brandId'] }`.
 * @throws FST_ERR_CACHE_OPTION for a path that is none
 */
export function parseEntityPaths (given: Readonly<Record<string, string | readonly string[]>>): EntityPaths {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw new errors.FST_ERR_CACHE_OPTION('config.cache.entities', shown(given), 'an object such as { product: "items[].id" }')
  return Object.entries(given).flatMap(([entity, paths]) => [paths].flat().map((path) => {
    const steps = typeof path === 'string' ? path.split('.').map((step) => STEP.exec(step)) : []
    if (steps.length === 0 || steps.some((step) => step === null || step[0] === '')) {
      throw new errors.FST_ERR_CACHE_OPTION(`config.cache.entities.${entity}`, shown(path), 'a path such as "id", "items[].id" or "[].id"')
    }
    return { entity, steps: steps.map((step) => ({ member: step?.[1] ?? '', each: step?.[2] !== undefined })) }
  }))
}

/** The paths of one entity, as they were written. */
export function pathsOf (paths: EntityPaths, name: string): string[] {
  return paths.filter(({ entity }) => entity === name).map(({ steps }) => steps.map(({ member, each }) => member + (each ? '[]' : '')).join('.'))
}

export interface Entities {
  /** `entity:id` for each that a payload holds. What is missing, or neither a string nor a number, names nothing. */
  readonly tags: readonly string[]
  /** The entities of which it holds none, because it has no such member, or one that is no id: their paths are probably wrong. */
  readonly astray: readonly string[]
  /** Whether the text that is made of the payload can hold no others: all that was walked over says itself what it becomes. */
  readonly certain: boolean
}

export const NO_ENTITIES: Entities = Object.freeze({ tags: Object.freeze([]), astray: Object.freeze([]), certain: false })

/** An empty list is at its place, and has none; and an empty payload has nothing at any place. */
export function findEntities (paths: EntityPaths, payload: unknown): Entities {
  const tags = new Set<string>()
  const found = new Set<string>()
  const missed = new Set<string>()
  let certain = true
  for (const { entity, steps } of paths) {
    for (const id of follow(payload, steps, 0)) {
      if ((typeof id === 'string' && id !== '') || typeof id === 'bigint' || Number.isFinite(id)) {
        tags.add(`${entity}:${id as string | bigint | number}`)
        found.add(entity)
      } else if (id !== null && id !== '') certain = false
      if (id === ABSENT || typeof id === 'boolean' || isObject(id)) missed.add(entity)
    }
  }
  return { tags: [...tags], astray: isEmpty(payload) ? [] : [...missed].filter((entity) => !found.has(entity)), certain }
}

/**
 * What a payload holds, and what the JSON that was made of it does: ids that are objects, and members that come from a class,
 * `toJSON` or a schema, are only there.
 * @throws SyntaxError for what is no JSON
 */
export function findWritten (paths: EntityPaths, held: Entities, json: string): Entities {
  const written = findEntities(paths, JSON.parse(json))
  if (held === NO_ENTITIES) return { ...written, certain: true }
  return { tags: [...new Set([...held.tags, ...written.tags])], astray: held.astray.filter((entity) => written.astray.includes(entity)), certain: true }
}

const ABSENT = Symbol('absent')
const UNCLEAR = Symbol('unclear')

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null
const isEmpty = (payload: unknown): boolean => isObject(payload) && Object.keys(payload).length === 0

/** Whether the JSON of an object has just its own members: it is of no class, and has no say in it. */
function isPlain (value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return (prototype === Object.prototype || prototype === Array.prototype || prototype === null) && typeof (value as { toJSON?: unknown }).toJSON !== 'function'
}

function * follow (value: unknown, steps: readonly Step[], at: number): Generator<unknown, void, undefined> {
  const step = steps[at]
  if (step === undefined) {
    yield value
    return
  }
  if (value === null) return
  if (value === undefined || (isObject(value) && !isPlain(value))) yield UNCLEAR
  if (value === undefined) return
  if (step.member !== '' && !(isObject(value) && Object.hasOwn(value, step.member))) {
    yield ABSENT
    return
  }
  const inner = step.member === '' ? value : (value as Record<string, unknown>)[step.member]
  if (!step.each) yield * follow(inner, steps, at + 1)
  else if (Array.isArray(inner)) {
    if (!isPlain(inner)) yield UNCLEAR
    for (const item of inner) yield * follow(item, steps, at + 1)
  } else if (inner === undefined) yield UNCLEAR
  else if (inner !== null) yield ABSENT
}
