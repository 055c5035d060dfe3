import { errors, shown } from '../errors.ts'

/**
 * A cursor goes to a stranger and comes back: it must look like one of the store's own, or a listing would be taken for
 * ended that never began.
 * @throws FST_ERR_CACHE_CURSOR
 */
export function checkCursor (cursor: string | undefined, form: RegExp): void {
  if (cursor !== undefined && !form.test(cursor)) throw new errors.FST_ERR_CACHE_CURSOR(shown(cursor))
}
