import t from 'tap'
import { findEntities, findWritten, NO_ENTITIES, parseEntityPaths } from '../../../lib/http/entity-path.ts'

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
    ['items[]', { items: [{ id: 1 }] }, [], true],
    ['items', { items: [1, 2] }, [], true],
    ['inStock', { inStock: true }, [], true],
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
    t.match(findEntities(parseEntityPaths({ e: paths }), payload), { tags, astray: astray ? ['e'] : [] }, `${paths.toString()} in ${JSON.stringify(payload)}`)
  }
  t.same(findEntities(parseEntityPaths({ product: 'id', brand: 'brnd', shop: 'shp' }), { id: 1, brand: 2 }), { tags: ['product:1'], astray: ['brand', 'shop'], certain: false })
})

class Row {
  get id (): number { return 42 }
  toJSON (): object { return { id: 42 } }
}

t.test('what a payload holds is certain only where its JSON can hold nothing else', async (t) => {
  const cases: Array<[path: string, payload: unknown, certain: boolean]> = [
    ['items[].id', { items: [{ id: 1 }, { id: 'b' }, { id: 3n }] }, true],
    ['items[].id', Object.assign(Object.create(null), { items: [{ id: null }, { id: '' }] }), true],
    ['items[].id', { items: [] }, true],
    ['items[].id', { items: null }, true],
    ['items[].id', { items: undefined }, false],
    ['items[].id', {}, false],
    ['items[].id', { items: { id: 1 } }, false],
    ['items[].id', { items: [{ id: 1 }, new Row()] }, false],
    ['items[].id', { items: Object.assign([{ id: 1 }], { toJSON: () => [] }) }, false],
    ['items[].id', { items: new (class extends Array<object> {})() }, false],
    ['a.id', { a: undefined }, false],
    ['id', Object.assign(new Row(), { key: 1 }), false],
    ['id', { id: 1, toJSON: () => ({ id: 2 }) }, false],
    ['id', { id: new Row() }, false],
    ['id', { id: undefined }, false],
    ['id', { id: NaN }, false],
    ['id', { id: true }, false]
  ]
  for (const [path, payload, certain] of cases) t.equal(findEntities(parseEntityPaths({ e: path }), payload).certain, certain, path)
})

t.test('what the JSON holds is added to what the payload did, and only what both miss is astray', async (t) => {
  const paths = parseEntityPaths({ product: 'product.id', brand: 'brand', shop: 'shop' })
  const held = findEntities(paths, { product: new Row(), brand: 7 })
  t.same(held, { tags: ['brand:7'], astray: ['product', 'shop'], certain: false })
  t.same(findWritten(paths, held, '{"product":{"id":42}}'), { tags: ['brand:7', 'product:42'], astray: ['shop'], certain: true })
  t.same(findWritten(paths, NO_ENTITIES, '{"product":{"id":42},"brand":7}'), { tags: ['product:42', 'brand:7'], astray: ['shop'], certain: true })
  t.throws(() => findWritten(paths, held, '<product/>'), SyntaxError)
})
