/** What became of a request: its body, or why there is none and what to do about it. */
export type Answer<T> =
  | { readonly ok: true, readonly body: T }
  | { readonly ok: false, readonly message: string }

export const failed = (message: string): { readonly ok: false, readonly message: string } => ({ ok: false, message })
