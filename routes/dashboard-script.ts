/**
 * What the dashboard does in the browser. It only ever writes text (`textContent`, attributes of its own elements), so
 * nothing that a key or a route is called can become markup. The token stays in this tab.
 */
export const DASHBOARD_SCRIPT = String.raw`
'use strict'
const base = location.pathname.replace(/\/dashboard\/?$/, '')
const store = 'cache-token ' + base
let token = sessionStorage.getItem(store) || ''
let timer
const $ = (id) => document.getElementById(id)
const el = (name, attributes, ...children) => {
  const svg = ['svg', 'path', 'line', 'text', 'circle', 'rect', 'g', 'title'].includes(name)
  const made = svg ? document.createElementNS('http://www.w3.org/2000/svg', name) : document.createElement(name)
  for (const key in attributes) made.setAttribute(key, attributes[key])
  made.append(...children)
  return made
}
const percent = (share) => share === null ? '–' : (share * 100).toFixed(1) + ' %'
const count = (n) => n === null ? '∞' : n >= 1e6 ? (n / 1e6).toFixed(1) + ' M' : n >= 1e4 ? (n / 1e3).toFixed(1) + ' k' : String(Math.round(n))
const bytes = (n) => n === null ? '∞' : n >= 1048576 ? (n / 1048576).toFixed(1) + ' MB' : n >= 1024 ? (n / 1024).toFixed(1) + ' kB' : n + ' B'
const time = (s) => s === null ? '–' : s < 1e-3 ? (s * 1e6).toFixed(0) + ' µs' : s < 1 ? (s * 1e3).toFixed(1) + ' ms' : s < 120 ? s.toFixed(1) + ' s' : s < 7200 ? (s / 60).toFixed(0) + ' min' : (s / 3600).toFixed(1) + ' h'
const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })

async function ask (path, options) {
  const headers = { ...token && { authorization: 'Bearer ' + token }, ...options && options.body && { 'content-type': 'application/json' } }
  const response = await fetch(base + path, { ...options, headers, cache: 'no-store', redirect: 'error' })
  if (response.status === 401) { locked(token !== ''); throw new Error('The token is needed') }
  const answer = await response.json()
  if (!response.ok) throw new Error(answer.message || 'The answer is ' + response.status)
  return answer
}

function locked (wrong) {
  token = ''
  sessionStorage.removeItem(store)
  clearTimeout(timer)
  $('login').hidden = false
  $('board').hidden = true
  $('login-error').textContent = wrong ? 'This token is not the right one.' : ''
  $('token').focus()
}

const W = 360, H = 175, LEFT = 46, RIGHT = 10, TOP = 10, BOTTOM = 22

function chart (id, { xs, series, yMax, yText, xText, mark, bars }) {
  const known = series.flat().filter((y) => y !== null)
  const top = yMax || Math.max(1e-9, ...known) * 1.1
  const x0 = xs[0], x1 = xs[xs.length - 1]
  const X = (x) => LEFT + (W - LEFT - RIGHT) * (x1 === x0 ? 0 : (x - x0) / (x1 - x0))
  const Y = (y) => H - BOTTOM - (H - TOP - BOTTOM) * Math.min(1, y / top)
  const svg = el('svg', { viewBox: '0 0 ' + W + ' ' + H, role: 'img', 'aria-label': $(id).dataset.title })
  for (const share of [0, 0.5, 1]) {
    svg.append(el('line', { x1: LEFT, x2: W - RIGHT, y1: Y(share * top), y2: Y(share * top), class: 'grid-line' }), el('text', { x: LEFT - 6, y: Y(share * top) + 4, 'text-anchor': 'end' }, yText(share * top)))
  }
  for (const [x, anchor] of [[x0, 'start'], [(x0 + x1) / 2, 'middle'], [x1, 'end']]) svg.append(el('text', { x: X(x), y: H - 5, 'text-anchor': anchor }, xText(x)))
  series.forEach((ys, index) => {
    if (bars) {
      ys.forEach((y, i) => { if (y) svg.append(el('rect', { class: 'bar', x: X(xs[i]) - 2, width: 4, y: Y(y), height: Y(0) - Y(y) })) })
      return
    }
    let path = '', pen = false
    ys.forEach((y, i) => {
      if (y === null) { pen = false; return }
      path += (pen ? 'L' : 'M') + X(xs[i]).toFixed(1) + ' ' + Y(y).toFixed(1)
      if (!pen && (i + 1 === ys.length || ys[i + 1] === null)) svg.append(el('circle', { class: 's' + index, cx: X(xs[i]), cy: Y(y), r: 3 }))
      pen = true
    })
    svg.append(el('path', { d: path, class: 's' + index }))
  })
  if (mark) {
    svg.append(el('circle', { class: 'dot', cx: X(mark.x), cy: Y(mark.y), r: 6 }))
    const right = X(mark.x) < W - 150
    svg.append(el('text', { class: 'here', x: X(mark.x) + (right ? 11 : -11), y: Y(mark.y) + 16, 'text-anchor': right ? 'start' : 'end' }, mark.text))
  }
  const cursor = el('line', { class: 'cursor', y1: TOP, y2: H - BOTTOM, x1: -9, x2: -9 })
  const caption = $(id + '-now')
  svg.append(cursor)
  svg.addEventListener('pointermove', (event) => {
    const box = svg.getBoundingClientRect()
    const at = (event.clientX - box.left) / box.width * W
    let best = 0
    xs.forEach((x, i) => { if (Math.abs(X(x) - at) < Math.abs(X(xs[best]) - at)) best = i })
    cursor.setAttribute('x1', X(xs[best]))
    cursor.setAttribute('x2', X(xs[best]))
    caption.textContent = xText(xs[best]) + ': ' + series.map((ys) => ys[best] === null ? '–' : yText(ys[best])).join(' / ')
  })
  svg.addEventListener('pointerleave', () => { cursor.setAttribute('x1', -9); cursor.setAttribute('x2', -9); caption.textContent = '' })
  $(id).replaceChildren(svg)
}

function rows (id, head, lines) {
  $(id).replaceChildren(el('tr', {}, ...head.map((name) => el('th', { scope: 'col' }, name))), ...lines.map((cells) => el('tr', {}, ...cells.map((cell) => el('td', {}, String(cell))))))
}

function list (id, items, none) {
  $(id).replaceChildren(...items.length ? items : [el('li', { class: 'soft' }, none)])
}

function show (report) {
  const { performanceMetrics: m, alerts, recommendations } = report
  const now = m.lastFiveMinutes
  const tiles = [['hit rate, 5 min', percent(now.lookups ? now.hitRate : null)], ['lookups a second', now.lookupsPerSecond.toFixed(1)], ['answer, p95', time(now.answers.p95)], ['load, p95', time(now.loadTimes.p95)], ['time saved, 1 h', time(m.timeSaved)], ['error rate', percent(now.errorRate)], ['evictions a second', now.evictionsPerSecond.toFixed(1)]]
  $('tiles').replaceChildren(...tiles.map(([name, value]) => el('div', { class: 'tile' }, el('b', {}, value), el('span', { class: 'soft' }, name))))
  list('alerts', alerts.map((alert) => el('li', { class: 'bad' }, alert.message + ' (since ' + clock(alert.atMs) + ')')), 'Nothing is wrong.')
  list('recommendations', recommendations.map(({ message }) => el('li', {}, message)), 'Nothing to propose so far.')
  // From the first minute of which something is known, ten minutes at least.
  const first = m.history.findIndex(({ lookups }) => lookups > 0)
  const history = m.history.slice(Math.min(first === -1 ? 50 : first, 50))
  const xs = history.map(({ atMs }) => atMs)
  const past = { xs, xText: clock }
  chart('hit-rate', { ...past, series: [history.map(({ hitRate }) => hitRate)], yMax: 1, yText: (y) => (y * 100).toFixed(0) + ' %' })
  chart('latency', { ...past, series: [history.map(({ answerP95 }) => answerP95), history.map(({ loadP95 }) => loadP95)], yText: time })
  chart('evictions', { ...past, series: [history.map(({ evictions }) => evictions)], yText: count, bars: true })
  $('curve-box').hidden = m.curve === null
  if (m.curve !== null) {
    const { current, points, policies, policy } = m.curve
    const all = [...points, current].sort((a, b) => a.entries - b.entries)
    chart('curve', { xs: all.map(({ entries }) => entries), series: [all.map(({ hitRate }) => hitRate)], yMax: 1, yText: (y) => (y * 100).toFixed(0) + ' %', xText: (x) => count(x) + ' entries', mark: { x: current.entries, y: current.hitRate, text: 'you are here: ' + percent(current.hitRate) } })
    $('policies').textContent = policies.map((other) => other.policy + (other.policy === policy ? ' (yours) ' : ' ') + percent(other.hitRate)).join(' · ')
  }
  $('tiers').replaceChildren(...m.tiers.map((tier) => el('div', {}, el('div', {}, tier.tier + (tier.utilisation === null ? '' : ': ' + count(tier.entries) + ' of ' + count(tier.maxEntries) + ' entries, ' + bytes(tier.bytes) + ' of ' + bytes(tier.maxBytes))), ...tier.utilisation === null ? [] : [el('meter', { min: 0, max: 1, value: tier.utilisation })], el('div', { class: 'soft' }, count(tier.hits) + ' hits, ' + count(tier.misses) + ' misses, ' + count(tier.errors) + ' errors; left: ' + Object.entries(tier.evictions).map(([cause, n]) => count(n) + ' ' + cause).join(', ')))))
  rows('groups', ['route or namespace', 'lookups', 'hit rate', 'stale', 'bypassed', 'loads', 'failed', 'mean load', 'saved'], m.groups.slice(0, 50).map((g) => [g.kind === 'route' ? g.name : g.name === '' ? 'data' : 'data in ' + g.name, count(g.lookups), percent(g.lookups ? g.hitRate : null), count(g.staleHits), count(g.bypasses), count(g.loads), count(g.loadErrors), time(g.loadTime), time(g.timeSaved)]))
  rows('hottest', ['key', 'share of lookups'], m.hottest.slice(0, 10).map(({ key, share }) => [key.replace(/^response:/, ''), percent(share)]))
  $('operations-box').hidden = m.operations.length === 0
  rows('operations', ['operation', 'count', 'failed', 'mean', 'p95'], m.operations.map((o) => [o.operation, count(o.count), percent(o.errorRate), time(o.responseTime), time(o.p95)]))
  $('state').textContent = 'live, ' + new Date(report.generatedAtMs).toLocaleTimeString()
  $('state').className = 'good'
}

async function refresh () {
  clearTimeout(timer)
  try {
    const report = await ask('/report')
    $('login').hidden = true
    $('board').hidden = false
    show(report)
  } catch (error) {
    if (!$('login').hidden) return
    $('state').textContent = error.message
    $('state').className = 'bad'
  }
  timer = setTimeout(refresh, document.hidden ? 30000 : 3000)
}

$('login').addEventListener('submit', (event) => {
  event.preventDefault()
  token = $('token').value.trim()
  sessionStorage.setItem(store, token)
  $('token').value = ''
  $('login').hidden = true
  refresh()
})
$('leave').addEventListener('click', () => { locked(false) })
$('purge').addEventListener('submit', async (event) => {
  event.preventDefault()
  const dryRun = event.submitter.value === 'try'
  const names = $('names').value.split(',').map((name) => name.trim()).filter(Boolean)
  const out = $('purged')
  try {
    const answer = await ask('/invalidate', { method: 'POST', body: JSON.stringify({ [$('what').value]: names, soft: $('soft').checked, dryRun }) })
    out.textContent = dryRun ? 'It would touch ' + answer.touched + (answer.touched ? ': ' + answer.keys.slice(0, 10).join(', ') : '') : 'Purged ' + (answer.reach === 'everywhere' ? 'everywhere.' : 'here; the others follow when the shared log can be reached.')
    out.className = ''
  } catch (error) {
    out.textContent = error.message
    out.className = 'bad'
  }
})
document.addEventListener('visibilitychange', () => { if (!document.hidden && !$('board').hidden) refresh() })
refresh()
`
