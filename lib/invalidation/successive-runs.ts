/**
 * Runs a task for many callers, one run at a time. Every caller gets a run that began after its call, so it sees all
 * that had happened before; callers who come while one is under way share the next.
 */
export function successiveRuns<T> (task: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  let next: Promise<T> | undefined

  function start (): Promise<T> {
    const run = task().finally(() => { if (running === run) running = undefined })
    running = run
    return run
  }

  return async () => {
    if (running === undefined) return await start()
    next ??= running.then(() => {}, () => {}).then(() => {
      next = undefined
      return start()
    })
    return await next
  }
}
