import { weightedList } from './weighted-list.ts'

/**
 * The content coding to send of those at hand (RFC 9110 §12.5.3), in the server's order of preference where the client
 * has none. `identity` when nothing else will do: also where the client refuses it, since some answer beats a 406.
 */
export function chooseEncoding (acceptEncoding: string | undefined, available: readonly string[]): string {
  const accepted = acceptEncoding === undefined ? undefined : weightedList(acceptEncoding)
  if (accepted === undefined) return 'identity'
  const qualityOf = (coding: string): number | undefined => accepted.find(({ value }) => value === coding)?.quality
  const others = qualityOf('*') ?? 0
  let best = 'identity'
  // Unlisted, identity is acceptable but wanted by nobody (§12.5.3 item 2).
  let bestQuality = qualityOf('identity') ?? 0
  for (const coding of available) {
    const quality = qualityOf(coding) ?? others
    if (quality > bestQuality || (quality > 0 && quality === bestQuality && best === 'identity')) {
      best = coding
      bestQuality = quality
    }
  }
  return best
}
