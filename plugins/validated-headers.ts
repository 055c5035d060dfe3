import type { RouteOptions } from 'fastify'
import { ALL_HEADERS, type ObservedInput } from './observed-request.ts'

/** What a schema may say and still look at no header but those that it lists. */
const PLAIN: ReadonlySet<string> = new Set(['type', 'properties', 'required', '$id', 'title', 'description'])

/**
 * What a handler knows of the headers by the verdict of their validation, which `attachValidation` hands to it in
 * `request.validationError`.
 * @param ownValidator whether nobody knows what the validator looks at
 */
export function validatedHeaders ({ attachValidation, schema }: Pick<RouteOptions, 'attachValidation' | 'schema'>, ownValidator: boolean): readonly ObservedInput[] {
  const headers = schema?.headers as { properties?: object, required?: unknown } | boolean | null | undefined
  if (attachValidation !== true || headers === undefined) return []
  if (ownValidator || typeof headers !== 'object' || headers === null || !Object.keys(headers).every((word) => PLAIN.has(word))) return [ALL_HEADERS]
  const { properties = {}, required = [] } = headers
  return [...Object.keys(properties), ...[required].flat().map(String)].map((name) => name.toLowerCase())
}
