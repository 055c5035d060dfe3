/** The look of the dashboard: one sheet, dark and light, from a phone to a wide screen. */
export const DASHBOARD_STYLE = `
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --text: #1b2330; --soft: #5d6878; --line: #dfe3e9; --one: #2463c9; --two: #c2570c; --good: #18794e; --bad: #c62a2f }
@media (prefers-color-scheme: dark) { :root { --page: #12161c; --card: #1b212a; --text: #e7ebf0; --soft: #98a3b3; --line: #323b47; --one: #6ea8ff; --two: #f59e5b; --good: #4cc38a; --bad: #ff8080 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.45 system-ui, sans-serif }
header, main { max-width: 1180px; margin: 0 auto; padding: 12px 16px }
header { display: flex; flex-wrap: wrap; gap: 4px 16px; align-items: baseline }
h1 { font-size: 20px; margin: 0 } h2 { font-size: 15px; margin: 0 0 8px }
.soft { color: var(--soft); font-size: 13px } .bad { color: var(--bad) } .good { color: var(--good) }
.grid { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)) }
.tiles { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); margin-bottom: 12px }
section, form, .tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px; min-width: 0 }
.wide { grid-column: 1 / -1 } @media (min-width: 760px) { .broad { grid-column: span 2 } } [hidden] { display: none }
.tile b { display: block; font-size: 22px; font-variant-numeric: tabular-nums }
ul { margin: 0; padding-left: 18px } li { margin: 4px 0; overflow-wrap: anywhere }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: 4px 8px; border-bottom: 1px solid var(--line); white-space: nowrap }
th { color: var(--soft); font-weight: 500 } th:first-child, td:first-child { text-align: left; white-space: normal; overflow-wrap: anywhere; min-width: 120px }
svg { display: block; width: 100%; height: auto; touch-action: pan-y } svg text { fill: var(--soft); font-size: 11px }
.grid-line { stroke: var(--line) } .s0, .s1 { fill: none; stroke-width: 2; stroke-linejoin: round } .s0 { stroke: var(--one) } .s1 { stroke: var(--two) } .bar { fill: var(--two) }
.dot { fill: var(--text); stroke: var(--card); stroke-width: 2 } .cursor { stroke: var(--soft); stroke-dasharray: 3 3 } svg .here { fill: var(--text) }
.key0::before, .key1::before { content: ''; display: inline-block; width: 12px; height: 3px; margin: 0 5px 3px 0; background: var(--one) } .key1::before { background: var(--two) } .key1 { margin-left: 12px }
meter { width: 100%; height: 12px }
label { display: inline-flex; gap: 6px; align-items: center; margin: 0 12px 8px 0 }
input, select, button { font: inherit; color: inherit; background: var(--page); border: 1px solid var(--line); border-radius: 6px; padding: 7px 10px; min-height: 38px }
input[type=checkbox] { min-height: 0 } input[type=text], input[type=password] { width: min(100%, 340px) }
button { background: var(--one); border-color: var(--one); color: var(--page); cursor: pointer; margin-right: 8px } button.plain { background: none; color: inherit; border-color: var(--line) }
:focus-visible { outline: 2px solid var(--one); outline-offset: 2px }
`
