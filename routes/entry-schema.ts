const instant = { type: 'number', description: 'Milliseconds since the Unix epoch.' }
const names = { type: 'array', items: { type: 'string' } }

const told = {
  key: { type: 'string' },
  kind: { enum: ['data', 'response', 'variants'] },
  storedAtMs: instant,
  freshUntilMs: instant,
  staleUntilMs: { ...instant, description: 'Until when a stale copy is of any use, in milliseconds since the Unix epoch.' },
  fresh: { type: 'boolean' },
  bytes: { type: 'number' },
  loadMs: { type: 'number', description: 'Milliseconds that the load took: what each hit saves.' },
  tags: names,
  builtFrom: { ...names, description: 'Keys it was built from: a purge of one of them takes it too.' }
}

/** What is told of an entry in a list. Never its value. */
export const ENTRY_SCHEMA = { type: 'object', required: Object.keys(told), additionalProperties: false, properties: told }

/** The same, and why it is what it is. */
export const ENTRY_REPORT_SCHEMA = {
  ...ENTRY_SCHEMA,
  required: [...ENTRY_SCHEMA.required, 'state', 'why'],
  properties: {
    ...told,
    state: { enum: ['fresh', 'stale'] },
    why: { type: 'string' },
    variants: {
      type: 'object',
      description: 'Of a URL with variants: the request fields that tell them apart, and their keys.',
      properties: { on: names, keys: names }
    }
  }
}

/** What became of a purge. */
export const PURGE_RESULT = {
  description: 'How far the purge got: everywhere (all processes that share the cache), or here until the shared log can be reached.',
  type: 'object',
  required: ['reach'],
  properties: { reach: { enum: ['everywhere', 'here'] } }
}
