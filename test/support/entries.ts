export { entryOf, type EntryShape } from '../../lib/ports/contract/entry-shape.ts'
