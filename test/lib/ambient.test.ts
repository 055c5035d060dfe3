import t from 'tap'
import { Ambient } from '../../lib/ambient.ts'

t.test('a value is there for all that a task sets off, while somebody holds it open, and for nobody beside', async (t) => {
  const ambient = new Ambient<string>()
  t.equal(ambient.current, undefined)
  const later = async (): Promise<string | undefined> => {
    await new Promise(setImmediate)
    return ambient.current
  }
  t.same(await Promise.all([ambient.during('a', later), ambient.during('b', later), later()]), ['a', 'b', undefined])
  t.equal(ambient.current, undefined)
  ambient.open()
  const first = ambient.run('first', later)
  ambient.close()
  t.equal(await first, undefined, 'nobody holds it any more')
  ambient.open()
  t.equal(ambient.current, undefined, 'nor does it come back')
  t.equal(await ambient.run('second', later), 'second')
  ambient.close()
})

t.test('what runs apart has no value, before and after it has had one of its own', async (t) => {
  const ambient = new Ambient<string>()
  await ambient.during('outer', async () => {
    const seen = ambient.apart(() => [ambient.current, ambient.run('inner', () => ambient.current), ambient.current])
    t.same(seen, [undefined, 'inner', undefined])
    t.equal(await ambient.apart(async () => {
      await new Promise(setImmediate)
      return ambient.current
    }), undefined)
    t.equal(ambient.current, 'outer')
  })
  t.equal(ambient.apart(() => ambient.current), undefined)
})
