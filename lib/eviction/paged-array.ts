const PAGE_BITS = 13
const WITHIN_PAGE = 2 ** PAGE_BITS - 1

/** An array that grows by a page at a time, and is never copied as a whole. */
export class PagedArray<T> {
  readonly #pages: T[][] = []

  get (at: number): T | undefined {
    return this.#pages[at >>> PAGE_BITS]?.[at & WITHIN_PAGE]
  }

  /** @param at at most one more than the highest that was ever set */
  set (at: number, value: T): void {
    const page = this.#pages[at >>> PAGE_BITS] ??= []
    page[at & WITHIN_PAGE] = value
  }
}
