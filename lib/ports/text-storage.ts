/** A place for one text, such as a list that outlives a restart. */
export interface TextStorage {
  /** The text that was written last; `undefined` when there is none. */
  readonly read: () => Promise<string | undefined>
  readonly write: (text: string) => Promise<void>
}
