/** Where the log lives in Redis. It is one key, so it is in one slot on Cluster; channels have none. */
export interface LogNames {
  readonly log: string
  /** Carries every record. */
  readonly bus: string
  /** Carries what one process sends to itself. */
  readonly echo: string
}

export function logNames (prefix: string, sender: string): LogNames {
  return { log: `${prefix}log`, bus: `${prefix}log:bus`, echo: `${prefix}log:echo:${sender}` }
}
