import { failed, type Answer } from './answer.ts'
import { numberOf } from './command-line.ts'
import { show, type Call, type End } from './command.ts'
import { bytes, duration } from './figures.ts'
import { table } from './table.ts'

interface Entry { readonly key: string, readonly kind: string, readonly fresh: boolean, readonly freshUntilMs: number, readonly bytes: number, readonly loadMs: number, readonly tags: readonly string[] }
interface Page { readonly entries: readonly Entry[], readonly cursor?: string }

const PAGE = 1000

/** `entries`: what is stored. */
export async function entries (call: Call): Promise<End> {
  const limit = numberOf(call.options.limit ?? '100')
  if (limit === undefined || !Number.isInteger(limit)) return { kind: 'mistake', message: `--limit ${call.options.limit ?? ''} must be a whole number, 1 or more` }
  return show(call, await list(call, limit), ({ entries: found, more }) => [
    ...found.length === 0
      ? ['Nothing is stored']
      : table(['key', 'kind', 'fresh for', 'size', 'load', 'tags'], found.map((entry) => [
        entry.key, entry.kind, entry.fresh ? duration(Math.max(0, entry.freshUntilMs - Date.now()) / 1000) : 'stale', bytes(entry.bytes), duration(entry.loadMs / 1000), entry.tags.join(' ')
      ])),
    ...more ? [`There may be more: --limit ${limit} was reached`] : []
  ])
}

async function list ({ client, words: [pattern] }: Call, limit: number): Promise<Answer<{ entries: Entry[], more: boolean }>> {
  const found: Entry[] = []
  let cursor: string | undefined
  do {
    const query = new URLSearchParams({ limit: String(Math.min(PAGE, limit - found.length)), ...pattern !== undefined && { pattern }, ...cursor !== undefined && { cursor } })
    const page = await client.ask<Page>('GET', `/entries?${query.toString()}`)
    if (!page.ok) return failed(page.message)
    found.push(...page.body.entries)
    cursor = page.body.cursor
  } while (cursor !== undefined && found.length < limit)
  return { ok: true, body: { entries: found.slice(0, limit), more: cursor !== undefined } }
}
