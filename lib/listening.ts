/** Calls somebody's listener, who cannot harm the caller: what it throws, or its promise rejects with, is told to `failed`. */
export function callListener (listener: () => unknown, failed: (error: unknown) => void): void {
  try {
    const ended = listener()
    if (ended instanceof Promise) ended.catch(failed)
  } catch (error) {
    failed(error)
  }
}
