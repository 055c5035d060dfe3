import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { projectRoot } from './source-tree.ts'

const folder = process.env['TRACES_DIR'] ?? join(projectRoot, '../shared/data/traces')

const fileOf = (name: string): string => join(folder, `${name}.txt.gz`)

/** Why the tests that replay this trace are skipped; `false` when it is there. */
export function traceMissing (name: string): string | false {
  return existsSync(fileOf(name)) ? false : `the request trace ${name} is not here: set TRACES_DIR to the folder that has ${name}.txt.gz`
}

/** The keys of a recorded trace in their order: one request each. */
export function readTrace (name: string): string[] {
  return gunzipSync(readFileSync(fileOf(name))).toString().trimEnd().split('\n')
}
