import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/**
 * The name by which the instances of one application recognise each other: that of the nearest package.json above the
 * program, or above the working directory when the program is a tool among the packages (`fastify start`, `tap`).
 * `undefined` when there is none.
 */
export function applicationName (program: string | undefined, workingDirectory: string): string | undefined {
  const begin = program === undefined || /[/\\]node_modules[/\\]/.test(program) ? workingDirectory : dirname(program)
  for (let folder = begin; ; folder = dirname(folder)) {
    const name = nameIn(join(folder, 'package.json'))
    if (name !== undefined || folder === dirname(folder)) return name
  }
}

function nameIn (file: string): string | undefined {
  try {
    const { name } = JSON.parse(readFileSync(file, 'utf8')) as { name?: unknown }
    return typeof name === 'string' && name !== '' ? name : undefined
  } catch {
    return undefined
  }
}
