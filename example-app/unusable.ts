/** What the one who starts the example can put right: the message says how, and a stack would say nothing more. */
export class UnusableError extends Error {}

export function messageOf (error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
