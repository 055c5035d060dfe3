import t from 'tap'
import { SharedPairs } from '../../../lib/engine/shared-pairs.ts'
import type { HeaderList } from '../../../lib/http/headers.ts'

const typed = (text: string): HeaderList => [['content-type', text], ['etag', `"${text}"`]]

t.test('a field that an earlier response had too is in memory once', async (t) => {
  const pairs = new SharedPairs()
  const [first] = pairs.share(typed('text/html'))
  const [second, tag] = pairs.share([['content-type', 'text/html'], ['etag', '"other"']])
  t.equal(second, first)
  t.same(tag, ['etag', '"other"'])
})

t.test('what differs is kept as it came, and repeated lines are never taken for one', async (t) => {
  const pairs = new SharedPairs()
  pairs.share([['link', ['</a>', '</b>']]])
  const list: HeaderList = [['link', ['</a>', '</c>']], ['link', '</a>'], ['content-type', 'text/css']]
  t.same(pairs.share(list), list)
  t.same(pairs.share(typed('text/plain')), typed('text/plain'))
})

t.test('names without end are not remembered', async (t) => {
  const pairs = new SharedPairs()
  for (let n = 0; n < 100; n++) pairs.share([[`x-${n}`, 'same']])
  const [first] = pairs.share([['x-late', 'same']])
  const [second] = pairs.share([['x-late', 'same']])
  t.same(second, first)
  t.not(second, first)
  const [known] = pairs.share([['x-0', 'same']])
  t.equal(pairs.share([['x-0', 'same']])[0], known)
})
