import { mkdir, open, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errors, shown } from '../errors.ts'
import type { TextStorage } from '../ports/text-storage.ts'

const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/
/** A larger file is none of ours. */
const MAX_BYTES = 4 * 1024 * 1024

/**
 * Keeps a text in a file. It is written beside and moved into place, so that a crash leaves the old text or the new one.
 * @param directory made when it is missing
 * @param name of the file in it; no path
 * @throws FST_ERR_CACHE_OPTION
 */
export function createTextFile (directory: string, name = 'hot-list.json'): TextStorage {
  if (typeof directory !== 'string' || directory === '') throw new errors.FST_ERR_CACHE_OPTION('directory', shown(directory), 'the path of a directory')
  if (typeof name !== 'string' || !FILE_NAME.test(name)) throw new errors.FST_ERR_CACHE_OPTION('name', shown(name), 'the name of a file, without a path')
  const file = join(directory, name)
  return {
    async read () {
      const handle = await open(file).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined
        throw error
      })
      if (handle === undefined) return undefined
      try {
        const { size } = await handle.stat()
        return size > MAX_BYTES ? undefined : await handle.readFile('utf8')
      } finally {
        await handle.close()
      }
    },
    async write (text) {
      await mkdir(directory, { recursive: true })
      const beside = `${file}.${process.pid}.tmp`
      await writeFile(beside, text, { mode: 0o600 })
      await rename(beside, file)
    }
  }
}
