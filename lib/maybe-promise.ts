/** A value now, or later. Memory answers at once; Redis does not. Awaiting costs a hit a turn of the event loop, so nobody awaits blindly. */
export type MaybePromise<T> = T | Promise<T>

export function isPromise<T> (value: MaybePromise<T>): value is Promise<T> {
  return value instanceof Promise
}

/** `then` without the detour for a value that is already there. */
export function chain<T, R> (value: MaybePromise<T>, next: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return value instanceof Promise ? value.then(next) : next(value)
}
