/** Text from elsewhere, without what a terminal would obey. */
export function printable (text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

export const count = (value: number): string => String(Math.round(value)).replaceAll(/\B(?=(?:\d{3})+$)/g, ' ')

export const percent = (share: number | null): string => share === null ? '–' : `${(share * 100).toFixed(1)} %`

export function bytes (value: number | null): string {
  if (value === null) return '–'
  const power = Math.min(3, Math.floor(Math.log2(Math.max(1, value)) / 10))
  return power === 0 ? `${value} B` : `${(value / 1024 ** power).toFixed(1)} ${['KB', 'MB', 'GB'][power - 1] ?? ''}`
}

/** Seconds, in the unit that suits. */
export function duration (seconds: number | null): string {
  if (seconds === null) return '–'
  if (seconds < 1) return `${Number((seconds * 1000).toPrecision(3))} ms`
  if (seconds < 120) return `${Number(seconds.toPrecision(3))} s`
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`
}
