import { partOf } from './parts.ts'

/** As much of a `Map` as a policed map needs, in parts (`parts.ts`). */
export class PartedMap<V> {
  readonly #parts: ReadonlyArray<Map<string, V>>

  constructor (parts: number) {
    this.#parts = Array.from({ length: parts }, () => new Map<string, V>())
  }

  get (key: string): V | undefined {
    return this.#parts[partOf(key, this.#parts.length)]?.get(key)
  }

  set (key: string, value: V): void {
    this.#parts[partOf(key, this.#parts.length)]?.set(key, value)
  }

  delete (key: string): void {
    this.#parts[partOf(key, this.#parts.length)]?.delete(key)
  }
}
