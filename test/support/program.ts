import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where the modules of this process are: in the project itself, or among what was compiled of it. The package's own name leads there. */
export const programRoot = fileURLToPath(new URL('../../', import.meta.url))

/** A program of this project, named without its extension: the one it has here. */
export const programFile = (name: string): string => programRoot + name + extname(import.meta.url)

/** Starts a program in the way in which this process was started. */
export const programArgs = (name: string): string[] => [...process.execArgv, programFile(name)]

/** The same for a module that is given as text. It finds the package by its name if it is started in {@link programRoot}. */
export const scriptArgs = (script: string): string[] => [...process.execArgv, '--input-type=module', '--eval', script]
