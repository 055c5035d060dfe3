import { show, type Call, type End } from './command.ts'
import { count, printable } from './figures.ts'

interface Purged { readonly reach?: 'everywhere' | 'here', readonly touched?: number, readonly keys?: readonly string[] }

/** `invalidate`: purges what is named. */
export async function invalidate (call: Call): Promise<End> {
  const { key, tag, pattern, path, everything, soft, 'dry-run': dryRun } = call.options
  const named = { ...key && { keys: key }, ...tag && { tags: tag }, ...pattern && { patterns: pattern }, ...path && { paths: path }, ...everything === true && { everything } }
  if (Object.keys(named).length === 0) return { kind: 'mistake', message: 'invalidate needs at least one of --key, --tag, --pattern, --path, --everything' }
  const purge = { ...named, ...soft === true && { soft }, ...dryRun === true && { dryRun } }
  return show(call, await call.client.ask<Purged>('POST', '/invalidate', purge), (purged) => linesOf(purged))
}

/** `flush`: purges everything. */
export async function flush (call: Call): Promise<End> {
  return show(call, await call.client.ask<Purged>('POST', '/flush', {}), linesOf)
}

function linesOf ({ reach, touched, keys = [] }: Purged): string[] {
  if (touched === undefined) return [reach === 'here' ? 'Purged here; the other instances follow when Redis is back' : 'Purged in all processes that share the cache']
  return [`Would touch ${count(touched)} ${touched === 1 ? 'entry' : 'entries'}`, ...keys.map((key) => `  ${printable(key)}`), ...touched > keys.length ? ['  …'] : []]
}
