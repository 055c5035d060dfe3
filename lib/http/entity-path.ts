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

export interface Entities {
  /** `entity:id` for each that a payload holds. What is missing, or neither a string nor a number, names nothing. */
  readonly tags: readonly string[]
  /** The entities of which it holds none, because it has no such member: their paths are probably misspelt. */
  readonly astray: readonly string[]
}

export const NO_ENTITIES: Entities = Object.freeze({ tags: Object.freeze([]), astray: Object.freeze([]) })

/** An empty list is at its place, and has none; and an empty payload has nothing at any place. */
export function findEntities (paths: EntityPaths, payload: unknown): Entities {
  const tags = new Set<string>()
  const found = new Set<string>()
  const missed = new Set<string>()
  for (const { entity, steps } of paths) {
    for (const id of follow(payload, steps, 0)) {
      if (id === ABSENT) missed.add(entity)
      else if ((typeof id === 'string' && id !== '') || typeof id === 'number') {
        tags.add(`${entity}:${id}`)
        found.add(entity)
      }
    }
  }
  return { tags: [...tags], astray: isEmpty(payload) ? [] : [...missed].filter((entity) => !found.has(entity)) }
}

const ABSENT = Symbol('absent')

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null
const isEmpty = (payload: unknown): boolean => isObject(payload) && Object.keys(payload).length === 0

function * follow (value: unknown, steps: readonly Step[], at: number): Generator<unknown, void, undefined> {
  const step = steps[at]
  if (step === undefined) {
    yield value
    return
  }
  if (value === undefined || value === null) return
  if (step.member !== '' && !(isObject(value) && Object.hasOwn(value, step.member))) {
    yield ABSENT
    return
  }
  const inner = step.member === '' ? value : (value as Record<string, unknown>)[step.member]
  if (!step.each) yield * follow(inner, steps, at + 1)
  else if (Array.isArray(inner)) for (const item of inner) yield * follow(item, steps, at + 1)
  else if (inner !== undefined && inner !== null) yield ABSENT
}
