import { posix } from 'node:path'
import ts from 'typescript'
import type { SourceTree } from './source-tree.ts'

/**
 * The rules of the architecture, as functions from sources to what is wrong with them. Each finding is one line that
 * names the file, so that a test can compare with the empty list and print the rest.
 *
 *   8  plugins, bin
 *   7  routes
 *   6  lib/config.ts, lib/compose.ts, lib/cache-manager.ts, lib/default-manager.ts
 *   5  lib/engine
 *   4  lib/stores, lib/invalidation, lib/leases
 *   3  lib/redis
 *   2  lib/ports
 *   1  lib/http, lib/keyspace, lib/codec, lib/eviction, lib/resilience
 *   0  lib/*.ts
 *
 * A file imports lower floors and its own folder, nothing else. The top-level folder of a file is its room.
 */
const floors: ReadonlyArray<readonly string[]> = [
  ['lib'],
  ['lib/http', 'lib/keyspace', 'lib/codec', 'lib/eviction', 'lib/resilience'],
  ['lib/ports'],
  ['lib/redis'],
  ['lib/stores', 'lib/invalidation', 'lib/leases'],
  ['lib/engine'],
  ['lib/config.ts', 'lib/compose.ts', 'lib/cache-manager.ts', 'lib/default-manager.ts'],
  ['routes'],
  ['plugins', 'bin']
]

const compositionFloor = 6
const longestFile = 300
const drawers = /(?:^|\/)(?:utils?|helpers?|common|misc|shared|types?|constants?)(?:\.ts$|\/)/
const kebabCase = /^(?:[a-z0-9]+(?:-[a-z0-9]+)*\/)*[a-z0-9]+(?:-[a-z0-9]+)*\.ts$/

function roomOf (file: string): string {
  const [top = '', second = ''] = file.split('/')
  if (floors[compositionFloor]?.includes(file) === true) return file
  return top !== 'lib' || second.endsWith('.ts') ? top : `lib/${second}`
}

function floorOf (file: string): number {
  return floors.findIndex((rooms) => rooms.includes(roomOf(file)))
}

/** What a source imports, re-exports or loads, types included, as it is written. */
export function importsOf (source: string): string[] {
  return ts.preProcessFile(source, true, true).importedFiles.map((found) => found.fileName)
}

function importedFiles (file: string, source: string): string[] {
  return importsOf(source).filter((specifier) => specifier.startsWith('.')).map((specifier) => posix.join(posix.dirname(file), specifier))
}

function packageOf (specifier: string): string {
  return specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
}

function importedPackages (source: string): string[] {
  return importsOf(source).filter((specifier) => !specifier.startsWith('.') && !specifier.startsWith('node:')).map(packageOf)
}

export function findUpwardImports (tree: SourceTree): string[] {
  const findings: string[] = []
  for (const [file, source] of tree) {
    const floor = floorOf(file)
    if (floor === -1) findings.push(`${file} stands on no floor`)
    for (const target of importedFiles(file, source)) {
      const targetFloor = floorOf(target)
      if (!tree.has(target)) findings.push(`${file} imports ${target}, which is not part of the package`)
      else if (targetFloor > floor) findings.push(`${file} (floor ${floor}) imports ${target} (floor ${targetFloor})`)
      else if (targetFloor === floor && floor !== compositionFloor && roomOf(file) !== roomOf(target)) findings.push(`${file} imports ${target} of a neighbour on its floor`)
    }
  }
  return findings
}

/** The command is a client like any other: it knows the cache by what its routes say. */
export function findInsideKnowledge (tree: SourceTree): string[] {
  return [...tree].filter(([file]) => roomOf(file) === 'bin').flatMap(([file, source]) => importsOf(source)
    .filter((specifier) => !/^(?:node:|\.\/)/.test(specifier))
    .map((specifier) => `${file} imports ${specifier}, which the command must do without`))
}

/** Each cycle once, as the files on it. */
export function findCycles (tree: SourceTree): string[] {
  const findings: string[] = []
  const done = new Set<string>()
  const visit = (file: string, path: string[]): void => {
    const at = path.indexOf(file)
    if (at !== -1) { findings.push([...path.slice(at), file].join(' → ')); return }
    if (done.has(file)) return
    for (const target of importedFiles(file, tree.get(file) ?? '')) visit(target, [...path, file])
    done.add(file)
  }
  for (const file of tree.keys()) visit(file, [])
  return findings
}

/**
 * A third-party package is known to one file, or to the files of one folder. `host` is the exception, the framework
 * itself: the floors that face it import it freely, `lib/` never does.
 */
export function findSharedPackages (tree: SourceTree, host: string, dependencies: ReadonlySet<string>): string[] {
  const findings: string[] = []
  const owners = new Map<string, Set<string>>()
  for (const [file, source] of tree) {
    for (const name of importedPackages(source)) {
      if (!dependencies.has(name)) findings.push(`${file} imports ${name}, which package.json does not name`)
      if (name === host) {
        if (file.startsWith('lib/')) findings.push(`${file} imports ${host}, of which lib/ must not know`)
      } else {
        const folders = owners.get(name) ?? owners.set(name, new Set()).get(name)
        folders?.add(posix.dirname(file))
      }
    }
  }
  for (const [name, folders] of owners) {
    if (folders.size > 1) findings.push(`${name} has several owners: ${[...folders].join(', ')}`)
  }
  return findings
}

export function findBadNames (tree: SourceTree): string[] {
  return [...tree.keys()].flatMap((file) => drawers.test(file)
    ? [`${file} is a drawer, not a noun`]
    : kebabCase.test(file) ? [] : [`${file} is not in kebab-case`])
}

export function findLongFiles (tree: SourceTree): string[] {
  return [...tree].flatMap(([file, source]) => {
    const lines = source.trimEnd().split('\n').length
    return lines >= longestFile ? [`${file} has ${lines} lines`] : []
  })
}

// Codecs and adapters answer their callers with verdicts; what they throw among themselves is a signal that nobody outside sees.
const inward = /^lib\/(?:codec|redis|stores|invalidation|leases)\//

/** Errors of the platform made outside the registry, `any`, and comments that silence a tool. */
export function findEscapes (tree: SourceTree): string[] {
  const findings: string[] = []
  for (const [file, source] of tree) {
    for (const [silenced] of source.matchAll(/@ts-(?:ignore|expect-error|nocheck)|eslint-disable/g)) findings.push(`${file} uses ${silenced}`)
    const parsed = ts.createSourceFile(file, source, ts.ScriptTarget.ES2022)
    const visit = (node: ts.Node): void => {
      if (node.kind === ts.SyntaxKind.AnyKeyword) findings.push(`${file}:${lineOf(parsed, node)} says any`)
      if (!inward.test(file) && ts.isNewExpression(node) && ts.isIdentifier(node.expression) && /^(?:Type|Range|Syntax|Aggregate)?Error$/.test(node.expression.text)) {
        findings.push(`${file}:${lineOf(parsed, node)} makes ${node.expression.text}, which lib/errors.ts does not know`)
      }
      ts.forEachChild(node, visit)
    }
    visit(parsed)
  }
  return findings
}

function lineOf (source: ts.SourceFile, node: ts.Node): number {
  return source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1
}

/** An example may import its own files and packages by name: what its reader could write as well. */
export function findInsiderImports (tree: SourceTree): string[] {
  return [...tree].flatMap(([file, source]) => importedFiles(file, source)
    .filter((target) => !tree.has(target))
    .map((target) => `${file} imports ${target} instead of the package`))
}
