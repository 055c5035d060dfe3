import { createHash } from 'node:crypto'

import fastJsonStringify, { type Schema } from 'fast-json-stringify'

import { errors } from '../errors.ts'
import { normaliseJson } from './json-value.ts'
import { jsonSerializer, type ValueSerializer } from './serializer.ts'

/**
 * JSON written by fast-json-stringify: for values of a known shape. Members that the schema does not name are dropped,
 * and its defaults are filled in, on the miss as well. Entries written under another schema are misses.
 *
 * @throws FST_ERR_CACHE_OPTION when the schema cannot be compiled.
 */
export function schemaSerializer (schema: Schema): ValueSerializer {
  const stringify = compiled(schema)
  return {
    ...jsonSerializer,
    name: 'schema-' + createHash('sha256').update(JSON.stringify(schema)).digest('hex').slice(0, 12),
    normalise (value) {
      let text: string
      try { text = stringify(value) } catch (error) { throw new errors.FST_ERR_CACHE_VALUE('$', `not what its schema says: ${error instanceof Error ? error.message : 'unknown error'}`) }
      return normaliseJson(JSON.parse(text))
    },
    encode: (value) => Buffer.from(stringify(value))
  }
}

function compiled (schema: Schema): (value: unknown) => string {
  try { return fastJsonStringify(schema) } catch (error) {
    throw new errors.FST_ERR_CACHE_OPTION('schema', error instanceof Error ? error.message : 'invalid', 'a JSON schema that fast-json-stringify compiles')
  }
}
