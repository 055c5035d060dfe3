/**
 * Decides who makes room, and nothing else. It knows the held nodes by their slots (see `slots.ts`), so its books are
 * a few typed arrays; the map tells it what happens to them.
 */
export interface Policy {
  admitted: (slot: number, key: string) => void
  used: (slot: number) => void
  /** The slot was emptied without the policy being asked. */
  removed: (slot: number) => void
  /** Who goes next; from now on the policy knows nothing of that slot. Never called while nothing is held. */
  displace: () => number
}
