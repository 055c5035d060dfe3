import type { WarmingJob } from '../lib/engine/warming-job.ts'
import { shown } from '../lib/errors.ts'

const count = { type: 'integer', minimum: 0 }
const text = { type: 'string' }

/** What a warming is asked for. */
export const WARM_BODY = {
  type: 'object',
  additionalProperties: false,
  properties: {
    paths: { type: 'array', minItems: 1, items: text, description: 'Paths of this app, the most important first. Those of routes that are not cached are left alone.' },
    host: { ...text, description: 'The host that clients use; it is part of the key of a response. As in this request where it is left out.' },
    encrypted: { type: 'boolean', description: 'Whether clients use https. As in this request where it is left out.' },
    concurrency: { type: 'integer', minimum: 1, maximum: 64, description: 'Requests at the same time; 4 where it is left out.' },
    learned: { type: 'boolean', description: 'Instead of paths: what was asked for most. Needs the option warmup.' },
    timeBudget: { type: 'number', exclusiveMinimum: 0, description: 'Of learned: seconds after which it ends, wherever it is; 10 where it is left out.' }
  }
}

/** How far a warming has come, and how it has ended. */
export const WARM_JOB = {
  type: 'object',
  required: ['id', 'name', 'state', 'startedAtMs', 'durationMs', 'total', 'stored', 'failed', 'skipped'],
  additionalProperties: false,
  properties: {
    id: text,
    name: text,
    state: { enum: ['running', 'ended'] },
    startedAtMs: { type: 'number', description: 'Milliseconds since the Unix epoch.' },
    durationMs: { type: 'number', description: 'Milliseconds.' },
    total: { ...count, description: 'Paths or rows seen so far.' },
    expected: { ...count, description: 'How many there are, where that is known.' },
    stored: count,
    failed: count,
    skipped: { ...count, description: 'Those that need not, or must not, be stored.' },
    outcome: { enum: ['completed', 'cancelled', 'out-of-time', 'failed', 'disabled', 'elsewhere'] },
    error: text,
    faults: { type: 'array', description: 'The first faults of single paths or rows.', items: { type: 'object', required: ['key', 'error'], properties: { key: text, error: text } } },
    statuses: { type: 'object', description: 'How many responses had which status.', additionalProperties: count }
  }
}

/** A job as `WARM_JOB` says. */
export function describeJob ({ progress, result }: WarmingJob): object {
  if (result === undefined) return { state: 'running', ...progress }
  const { error, faults, ...report } = result
  return { state: 'ended', ...report, ...error !== undefined && { error: wordOf(error) }, faults: faults.map((fault) => ({ key: fault.key, error: wordOf(fault.error) })) }
}

const wordOf = (error: unknown): string => error instanceof Error ? error.message : typeof error === 'string' ? error : shown(error)
