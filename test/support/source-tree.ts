import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'

/** TypeScript sources by their path from the root of the project, with forward slashes. */
export type SourceTree = ReadonlyMap<string, string>

/** Tests are started there, compiled or not. */
export const projectRoot = process.cwd() + '/'

/** Every `.ts` file under the given folders of this project. */
export function readSourceTree (...folders: string[]): SourceTree {
  const tree = new Map<string, string>()
  for (const folder of folders) {
    for (const file of readdirSync(projectRoot + folder, { recursive: true, encoding: 'utf8' }).sort()) {
      const path = posix.join(folder, file.replaceAll('\\', '/'))
      if (path.endsWith('.ts')) tree.set(path, readFileSync(projectRoot + path, 'utf8'))
    }
  }
  return tree
}
