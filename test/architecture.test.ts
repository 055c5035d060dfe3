import { readFileSync } from 'node:fs'
import t from 'tap'
import {
  findBadNames, findCycles, findEscapes, findInsideKnowledge, findInsiderImports, findLongFiles, findSharedPackages, findUpwardImports, importsOf
} from './support/architecture.ts'
import { projectRoot, readSourceTree } from './support/source-tree.ts'
import type { SourceTree } from './support/source-tree.ts'

interface Manifest { dependencies: Record<string, string>, peerDependencies: Record<string, string> }

const manifest = JSON.parse(readFileSync(projectRoot + 'package.json', 'utf8')) as Manifest
const declared = new Set([...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies)])
const shipped = readSourceTree('lib', 'plugins', 'routes', 'bin')
const example = readSourceTree('example-app')

const tree = (files: Record<string, string>): SourceTree => new Map(Object.entries(files))

t.test('the package', async (t) => {
  t.ok(shipped.size > 0, 'there are sources to look at')
  t.same(findUpwardImports(shipped), [], 'imports only lower floors and siblings')
  t.same(findInsideKnowledge(shipped), [], 'has a command that knows it from outside')
  t.same(findCycles(shipped), [], 'has no cycle of imports')
  t.same(findSharedPackages(shipped, 'fastify', declared), [], 'has one owner for each third-party package')
  t.same(findBadNames(shipped), [], 'has no drawers, and kebab-case names')
  t.same(findLongFiles(shipped), [], 'has no file of 300 lines')
  t.same(findEscapes(shipped), [], 'makes errors in one place and silences no tool')
})

t.test('the example app', async (t) => {
  t.ok(example.size > 0, 'there are sources to look at')
  t.same(findInsiderImports(example), [], 'imports the package by its name only')
  t.ok([...example.values()].some((source) => importsOf(source).includes('fastify-response-cache')), 'and does import it')
  t.same(findCycles(example), [], 'has no cycle of imports')
  t.same(findBadNames(example), [], 'has no drawers, and kebab-case names')
  t.same(findEscapes(example).filter((finding) => !/makes \w*Error/.test(finding)), [], 'silences no tool')
})

t.test('the lock file', async (t) => {
  const { packages } = JSON.parse(readFileSync(projectRoot + 'package-lock.json', 'utf8')) as { packages: Record<string, { resolved?: string, integrity?: string }> }
  const installed = Object.entries(packages).filter(([path]) => path !== '')
  t.ok(installed.length > 100, 'lists what is installed')
  t.same(installed.filter(([, { resolved = '' }]) => resolved !== '').map(([path]) => path), [], 'names no host')
  t.same(installed.filter(([, { integrity }]) => integrity === undefined).map(([path]) => path), [], 'knows the checksum of everything')
})

t.test('each rule finds what breaks it', async (t) => {
  t.same(findUpwardImports(tree({ 'lib/clock.ts': "import { a } from './engine/a.ts'", 'lib/engine/a.ts': '' })),
    ['lib/clock.ts (floor 0) imports lib/engine/a.ts (floor 5)'])
  t.same(findUpwardImports(tree({ 'lib/clock.ts': "import type { C } from './config.ts'", 'lib/config.ts': '' })),
    ['lib/clock.ts (floor 0) imports lib/config.ts (floor 6)'], 'types count')
  t.same(findUpwardImports(tree({ 'lib/http/a.ts': "export * from '../keyspace/b.ts'", 'lib/keyspace/b.ts': '' })),
    ['lib/http/a.ts imports lib/keyspace/b.ts of a neighbour on its floor'], 're-exports count')
  t.same(findUpwardImports(tree({ 'lib/stores/a.ts': "await import('../invalidation/b.ts')", 'lib/invalidation/b.ts': '' })),
    ['lib/stores/a.ts imports lib/invalidation/b.ts of a neighbour on its floor'], 'dynamic imports count')
  t.same(findUpwardImports(tree({ 'routes/a.ts': "import '../test/b.ts'" })), ['routes/a.ts imports test/b.ts, which is not part of the package'])
  t.same(findInsideKnowledge(tree({ 'bin/a.ts': "import '../lib/clock.ts'\nimport 'node:fs'\nimport './b.ts'", 'lib/b.ts': "import 'x'" })), ['bin/a.ts imports ../lib/clock.ts, which the command must do without'])
  t.same(findUpwardImports(tree({ 'lib/attic/a.ts': '' })), ['lib/attic/a.ts stands on no floor'])
  t.same(findUpwardImports(tree({ 'lib/a.ts': '', 'lib/b.ts': "import './a.ts'", 'lib/http/c.ts': "import '../b.ts'", 'lib/compose.ts': "import './config.ts'", 'lib/config.ts': "import './a.ts'" })),
    [], 'and nothing where nothing is broken')

  t.same(findCycles(tree({ 'lib/a.ts': "import './b.ts'", 'lib/b.ts': "import './c.ts'", 'lib/c.ts': "import './a.ts'" })),
    ['lib/a.ts → lib/b.ts → lib/c.ts → lib/a.ts'])
  t.same(findSharedPackages(tree({ 'lib/a.ts': "import 'x/y'", 'lib/http/b.ts': "import 'x'" }), 'fastify', new Set(['x'])),
    ['x has several owners: lib, lib/http'])
  t.same(findSharedPackages(tree({ 'lib/a.ts': "import '@s/x/y'" }), 'fastify', new Set()), ['lib/a.ts imports @s/x, which package.json does not name'])
  t.same(findSharedPackages(tree({ 'lib/a.ts': "import type {} from 'fastify'", 'routes/b.ts': "import 'fastify'", 'plugins/c.ts': "import 'fastify'" }), 'fastify', declared),
    ['lib/a.ts imports fastify, of which lib/ must not know'])
  t.same(findBadNames(tree({ 'lib/http/utils.ts': '', 'lib/common/a.ts': '', 'lib/fooBar.ts': '', 'lib/foo-bar.ts': '', 'lib/commons.ts': '' })),
    ['lib/http/utils.ts is a drawer, not a noun', 'lib/common/a.ts is a drawer, not a noun', 'lib/fooBar.ts is not in kebab-case'])
  t.same(findLongFiles(tree({ 'lib/a.ts': '\n'.repeat(298) + 'x\n', 'lib/b.ts': '\n'.repeat(299) + 'x' })), ['lib/b.ts has 300 lines'])
  t.same(findEscapes(tree({ 'lib/a.ts': 'let a: any\nthrow new TypeError("x") // @ts-ignore' })),
    ['lib/a.ts uses @ts-ignore', 'lib/a.ts:1 says any', 'lib/a.ts:2 makes TypeError, which lib/errors.ts does not know'])
  t.same(findEscapes(tree({ 'lib/codec/a.ts': 'throw new TypeError("damaged")' })), [])
  t.same(findInsiderImports(tree({ 'example-app/a.ts': "import './b.ts'\nimport '../lib/c.ts'\nimport 'fastify'", 'example-app/b.ts': '' })),
    ['example-app/a.ts imports lib/c.ts instead of the package'])
})
