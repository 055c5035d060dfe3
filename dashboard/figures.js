'use strict'
// How figures are written. JSON knows no infinity: what has no bound arrives as null.

/** @param {number | null} share from 0 to 1 */
const percent = (share) => share === null ? '–' : `${(share * 100).toFixed(1)} %`

/** @param {number | null} n */
const count = (n) => n === null ? '∞' : n >= 1e6 ? `${(n / 1e6).toFixed(1)} M` : n >= 1e4 ? `${(n / 1e3).toFixed(1)} k` : String(Math.round(n))

/** @param {number | null} n */
const bytes = (n) => n === null ? '∞' : n >= 1048576 ? `${(n / 1048576).toFixed(1)} MB` : n >= 1024 ? `${(n / 1024).toFixed(1)} kB` : `${n} B`

/** @param {number} value the value to three figures, without zeros behind it */
const three = (value) => String(Number(value.toPrecision(3)))

/** @param {number | null} seconds */
const time = (seconds) => {
  if (seconds === null) return '–'
  if (seconds < 1e-3) return `${three(seconds * 1e6)} µs`
  if (seconds < 1) return `${three(seconds * 1e3)} ms`
  if (seconds < 120) return `${three(seconds)} s`
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${three(seconds / 3600)} h`
}

/** @param {number} ms since the epoch */
const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
