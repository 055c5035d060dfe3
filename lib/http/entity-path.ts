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

/** The tags `entity:id` of all entities that a payload holds. What is missing, or neither a string nor a number, names nothing. */
export function entityTags (paths: EntityPaths, payload: unknown): string[] {
  const tags = new Set<string>()
  for (const { entity, steps } of paths) {
    for (const id of follow(payload, steps, 0)) {
      if ((typeof id === 'string' && id !== '') || typeof id === 'number') tags.add(`${entity}:${id}`)
    }
  }
  return [...tags]
}

function * follow (value: unknown, steps: readonly Step[], at: number): Generator<unknown, void, undefined> {
  const step = steps[at]
  if (step === undefined) {
    yield value
    return
  }
  const inner: unknown = step.member === '' ? value : typeof value === 'object' && value !== null && Object.hasOwn(value, step.member) ? (value as Record<string, unknown>)[step.member] : undefined
  if (!step.each) yield * follow(inner, steps, at + 1)
  else if (Array.isArray(inner)) for (const item of inner) yield * follow(item, steps, at + 1)
}
