'use strict'

/** @type {Map<string, Chart>} */
const charts = new Map()

/** Colours come from the sheet when they are painted, so that dark and light need no chart of their own. @param {string} name */
const colour = (name) => () => getComputedStyle(document.body).getPropertyValue(name)

/** A logarithmic axis has lines at the powers of ten only. @type {import('uplot').Axis.Filter} */
const powersOfTen = (_chart, splits) => splits.map((value) => Number.isInteger(Math.log10(value)) ? value : null)

/** @param {(value: number) => string} write @param {boolean} logarithmic @returns {import('uplot').Axis} */
const axis = (write, logarithmic = false) => ({
  stroke: colour('--soft'),
  grid: { stroke: colour('--line'), width: 1, ...logarithmic && { filter: powersOfTen } },
  ticks: { show: false },
  font: '11px system-ui',
  values: (_chart, splits) => splits.map((value) => value === null ? '' : write(value))
})

/** @param {HTMLElement} place */
const sizeOf = (place) => ({ width: Math.max(200, place.clientWidth), height: 170 })

const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) charts.get(target.id)?.setSize(sizeOf(/** @type {HTMLElement} */ (target)))
})

/**
 * Makes the chart the first time, and gives it its figures each time.
 * @param {string} id
 * @param {ChartData} data
 * @param {string} words what the chart says, for those who do not see it
 * @param {() => Omit<ChartOptions, 'width' | 'height'>} options
 */
const drawChart = (id, data, words, options) => {
  const place = at(id)
  place.setAttribute('aria-label', words)
  const known = charts.get(id)
  if (known !== undefined) {
    known.setData(data)
    return
  }
  charts.set(id, new uPlot({ ...sizeOf(place), ...options() }, data, place))
  resized.observe(place)
}

/** @param {string} label @param {string} stroke @param {(value: number) => string} write @returns {ChartSeries} */
const line = (label, stroke, write) => ({ label, stroke: colour(stroke), width: 2, points: { size: 5 }, value: (_chart, value) => value === null ? '–' : write(value) })

/** @param {string} label @param {string} fill @returns {ChartSeries} */
const bars = (label, fill) => ({ label, fill: colour(fill), width: 0, points: { show: false }, paths: uPlot.paths.bars?.({ size: [0.7, 12] }), value: (_chart, value) => value === null ? '–' : count(value) })

/**
 * A chart over the last hour.
 * @param {string} id
 * @param {ChartData} data its first row is of epoch seconds
 * @param {string} words
 * @param {{ series: ChartSeries[], write: (value: number) => string, scale: import('uplot').Scale, wide?: number }} look
 */
const drawPast = (id, data, words, { series, write, scale, wide = 52 }) => {
  drawChart(id, data, words, () => ({
    series: [{ value: (_chart, value) => value === null ? '–' : clock(value * 1000) }, ...series],
    axes: [{ ...axis((value) => clock(value * 1000)), space: 60, size: 28 }, { ...axis(write, scale.distr === 3), space: 28, size: wide }],
    scales: { y: scale },
    padding: [8, null, null, null],
    cursor: { y: false, drag: { x: false, y: false } }
  }))
}

/** A dot, and a line down to the size that the memory has. @param {() => Curve['current']} current @returns {import('uplot').Plugin} */
const youAreHere = (current) => ({
  hooks: {
    draw: (chart) => {
      const { ctx, bbox } = chart
      const { entries, hitRate } = current()
      const x = chart.valToPos(entries, 'x', true)
      const y = chart.valToPos(hitRate, 'y', true)
      const unit = devicePixelRatio
      ctx.save()
      ctx.strokeStyle = ctx.fillStyle = colour('--text')()
      ctx.lineWidth = unit
      ctx.setLineDash([4 * unit, 3 * unit])
      ctx.beginPath()
      ctx.moveTo(x, y)
      ctx.lineTo(x, bbox.top + bbox.height)
      ctx.stroke()
      ctx.beginPath()
      ctx.arc(x, y, 5 * unit, 0, 2 * Math.PI)
      ctx.fill()
      const roomy = x < bbox.left + bbox.width * 0.6
      ctx.font = `${12 * unit}px system-ui`
      ctx.textAlign = roomy ? 'left' : 'right'
      ctx.fillText(`you are here: ${percent(hitRate)}`, x + (roomy ? 10 : -10) * unit, Math.min(y + 20 * unit, bbox.top + bbox.height - 6 * unit))
      ctx.restore()
    }
  }
})

/** @type {Curve['current']} */
let here = { entries: 1, hitRate: 0 }

/** @param {Curve} curve */
const drawCurve = ({ current, points }) => {
  here = current
  const sizes = [...points, current].filter(({ entries }) => entries >= 1).sort((a, b) => a.entries - b.entries)
  const words = `The hit rate by the size of the memory. ${count(current.entries)} entries, as now: ${percent(current.hitRate)}.`
  drawChart('curve', [sizes.map(({ entries }) => entries), sizes.map(({ hitRate }) => hitRate)], words, () => ({
    series: [{ label: 'entries', value: (_chart, value) => value === null ? '–' : count(value) }, { ...line('hit rate', '--one', percent), points: { show: false } }],
    axes: [{ ...axis(count, true), space: 50, size: 28 }, { ...axis((value) => `${Math.round(value * 100)} %`), size: 52 }],
    scales: { x: { time: false, distr: 3 }, y: { range: [0, 1] } },
    padding: [8, null, null, null],
    cursor: { y: false, drag: { x: false, y: false } },
    plugins: [youAreHere(() => here)]
  }))
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const chart of charts.values()) chart.redraw()
})
