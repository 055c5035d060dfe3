import type { Redis } from 'ioredis'

import type { RedisScanPage } from '../ports/redis-client.ts'
import { isCluster, type AnyRedis } from './source.ts'

interface Node { readonly name: string, readonly client: Redis }

/** Every master, in an order that does not depend on when it joined. */
function mastersOf (client: AnyRedis): Node[] {
  if (!isCluster(client)) return [{ name: '', client }]
  return client.nodes('master')
    .map((node): Node => ({ name: `${String(node.options.host)}:${String(node.options.port)}`, client: node }))
    .sort((one, other) => one.name < other.name ? -1 : 1)
}

/**
 * One step of SCAN. The cursor says where it stands, as `<node>/<cursor of that node>`; a master that is gone by the
 * time its turn comes is passed over, and its keys are found where they have moved to, or not at all.
 */
export async function scanStep (client: AnyRedis, cursor: string | undefined, match: string, count: number): Promise<RedisScanPage> {
  const masters = mastersOf(client)
  const slash = cursor?.lastIndexOf('/') ?? -1
  const name = cursor?.slice(0, slash) ?? ''
  const at = cursor === undefined ? 0 : masters.findIndex((node) => node.name >= name)
  const node = at < 0 ? undefined : masters[at]
  if (node === undefined) return { keys: [], cursor: undefined }
  const from = node.name === name && cursor !== undefined ? cursor.slice(slash + 1) : '0'
  // The cursor of SCAN is an unsigned 64-bit number; from elsewhere than the last reply it need not be one.
  const [next, keys] = await node.client.scan(/^\d{1,20}$/.test(from) ? from : '0', 'MATCH', match, 'COUNT', count)
  if (next !== '0') return { keys, cursor: `${node.name}/${next}` }
  const following = masters[at + 1]
  return { keys, cursor: following === undefined ? undefined : `${following.name}/0` }
}
