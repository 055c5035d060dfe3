import { errors, shown } from '../errors.ts'

export type Method<This, Args extends readonly unknown[], Result> = (this: This, ...args: Args) => Result
/** A method of which nothing is known. */
export type AnyMethod = Method<unknown, readonly unknown[], unknown>

/**
 * What `cached(…)` and `cacheInvalidate(…)` answer: a decorator of methods, of either kind, and a wrapper of functions.
 * What comes out answers a promise, so a decorated method has to answer one already.
 */
export interface MethodWrapper<This, Args extends readonly unknown[], Result> {
  /** Standard decorator (TC39). */
  <S extends This, A extends Args, R extends Result>(method: Method<S, A, Promise<R>>, context: ClassMethodDecoratorContext<S, Method<S, A, Promise<R>>>): Method<S, A, Promise<R>>
  /** Legacy decorator (`experimentalDecorators`). */
  <S extends This, A extends Args, R extends Result>(target: object, name: string | symbol, descriptor: TypedPropertyDescriptor<Method<S, A, Promise<R>>>): void
  /** Wrapper of a function. */
  <S extends This, A extends Args, R extends Result>(method: Method<S, A, R | Promise<R>>): Method<S, A, Promise<R>>
}

type Wrap = (method: AnyMethod, name: string) => AnyMethod

/** Applies `wrap` to whatever a decorator or a wrapper was called with. */
export function decorate (decorator: string, wrap: Wrap, [target, second, third]: readonly unknown[]): AnyMethod | undefined {
  const refuse = (what: string): Error => new errors.FST_ERR_CACHE_DECORATOR(decorator, what)
  if (typeof second === 'string' || typeof second === 'symbol') {
    const descriptor = third as PropertyDescriptor | undefined
    if (typeof descriptor?.value !== 'function') throw refuse(`"${String(second)}", which is no method`)
    descriptor.value = named(wrap(descriptor.value as AnyMethod, nameOf(second)), descriptor.value as AnyMethod)
    return undefined
  }
  const context = second as ClassMethodDecoratorContext | undefined
  if (context !== undefined && context.kind !== 'method') throw refuse(`a ${String(context.kind)}`)
  if (typeof target !== 'function') throw refuse(shown(target))
  return named(wrap(target as AnyMethod, context === undefined ? target.name : nameOf(context.name)), target as AnyMethod)
}

function nameOf (name: string | symbol): string {
  return typeof name === 'string' ? name : name.description ?? ''
}

/** Stack traces and templates of an outer decorator see the method that was written. */
function named (wrapper: AnyMethod, method: AnyMethod): AnyMethod {
  for (const property of ['name', 'length'] as const) Object.defineProperty(wrapper, property, { value: method[property], configurable: true })
  return wrapper
}
