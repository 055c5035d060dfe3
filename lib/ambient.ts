import { AsyncLocalStorage } from 'node:async_hooks'

/**
 * A value for everything that a task sets off, however deep and however late: an AsyncLocalStorage that is switched off
 * while nobody is inside. From its first use on, Node 20 calls its hooks for every promise and every tick of the process;
 * a server would pay for them with each request, most of which have nothing to carry. Switching costs as well, so it stays on
 * until all that came in at the same turn of the event loop has had its turn.
 */
export class Ambient<T> {
  readonly #storage = new AsyncLocalStorage<T | undefined>()
  #inside = 0
  #isClosing = false

  /** The value of the task that runs now. */
  get current (): T | undefined {
    return this.#inside === 0 ? undefined : this.#storage.getStore()
  }

  /** Runs a task with a value, until its promise settles. */
  async during<R> (value: T, task: () => Promise<R>): Promise<R> {
    this.open()
    try {
      return await this.run(value, task)
    } finally {
      this.close()
    }
  }

  /** Runs a task with a value. It is there until as many `close` as `open` have been called. */
  run<R> (value: T, task: () => R): R {
    return this.#storage.run(value, task)
  }

  /** Runs a task without the value. (In Node 20 `exit` would give it back after another `run` inside.) */
  apart<R> (task: () => R): R {
    return this.#inside === 0 && !this.#isClosing ? task() : this.#storage.run(undefined, task)
  }

  open (): void {
    this.#inside++
  }

  close (): void {
    if (--this.#inside > 0 || this.#isClosing) return
    this.#isClosing = true
    setImmediate(() => {
      this.#isClosing = false
      if (this.#inside === 0) this.#storage.disable()
    }).unref()
  }
}
