// The scripts of the page are plain ones: they run in the order in which routes/dashboard-page.ts names them and share
// their names. These come from outside.
declare const uPlot: typeof import('uplot')
type Chart = import('uplot')
type ChartOptions = import('uplot').Options
type ChartData = import('uplot').AlignedData
type ChartSeries = import('uplot').Series
type CacheReport = import('../lib/engine/monitor/report.ts').PerformanceReport
type Metrics = import('../lib/engine/monitor/report.ts').PerformanceMetrics
type Curve = import('../lib/engine/monitor/report.ts').CurveFigures

/** What is more than an HTMLElement. */
interface Fields {
  token: HTMLInputElement
  what: HTMLSelectElement
  names: HTMLInputElement
  soft: HTMLInputElement
  paths: HTMLInputElement
  learned: HTMLInputElement
  'warm-start': HTMLButtonElement
  'warm-bar': HTMLProgressElement
}
