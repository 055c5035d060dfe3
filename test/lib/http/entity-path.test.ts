import t from 'tap'
import { findEntities, parseEntityPaths } from '../../../lib/http/entity-path.ts'

t.test('entities are found where their paths lead, and those that lead nowhere are told', async (t) => {
  const cases: Array<[paths: string | string[], payload: unknown, tags: string[], astray: boolean]> = [
    ['items[].id', { items: [{ id: 1 }, { id: 'b' }] }, ['e:1', 'e:b'], false],
    ['itms[].id', { items: [{ id: 1 }] }, [], true],
    ['items[].di', { items: [{ id: 1 }] }, [], true],
    ['items[].id', { items: [{ sku: 1 }, { id: 2 }] }, ['e:2'], false],
    ['items[].id', { items: [] }, [], false],
    ['items[].id', { items: null }, [], false],
    ['items[].id', { items: [null] }, [], false],
    ['items[].id', { items: { id: 1 } }, [], true],
    ['items.id', { items: [{ id: 1 }] }, [], true],
    ['[].id', [{ id: 1 }], ['e:1'], false],
    ['[].id', [], [], false],
    ['[].id', { id: 1 }, [], true],
    ['id', { id: null }, [], false],
    ['id', { id: '' }, [], false],
    ['id', {}, [], false],
    ['id', null, [], false],
    ['id', 'text', [], true],
    ['id', Object.create({ id: 1 }), [], false],
    ['a.b.id', { a: { b: null } }, [], false],
    ['a.b.id', { a: { c: 1 } }, [], true],
    [['id', 'items[].id'], { items: [{ id: 1 }] }, ['e:1'], false],
    [['id', 'items[].id'], { list: [{ id: 1 }] }, [], true]
  ]
  for (const [paths, payload, tags, astray] of cases) {
    t.same(findEntities(parseEntityPaths({ e: paths }), payload), { tags, astray: astray ? ['e'] : [] }, `${paths.toString()} in ${JSON.stringify(payload)}`)
  }
  t.same(findEntities(parseEntityPaths({ product: 'id', brand: 'brnd', shop: 'shp' }), { id: 1, brand: 2 }), { tags: ['product:1'], astray: ['brand', 'shop'] })
})
