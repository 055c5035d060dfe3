/**
 * HTTP-date (RFC 9110 §5.6.7): exactly its three formats, names matched without case, GMT only. Anything else is no
 * date at all; the caller then treats it as the past (RFC 9111 §5.3). The local time zone plays no part.
 */
import type { EpochMs } from '../clock.ts'

const MONTHS = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ')

const IMF_FIXDATE = /^(?:mon|tue|wed|thu|fri|sat|sun), (\d\d) ([a-z]{3}) (\d{4}) (\d\d):(\d\d):(\d\d) gmt$/
const RFC_850 = /^(?:mon|tues|wednes|thurs|fri|satur|sun)day, (\d\d)-([a-z]{3})-(\d\d) (\d\d):(\d\d):(\d\d) gmt$/
const ASCTIME = /^(?:mon|tue|wed|thu|fri|sat|sun) ([a-z]{3}) ([ \d]\d) (\d\d):(\d\d):(\d\d) (\d{4})$/

const LONGEST = 'Wednesday, 06-Nov-94 08:49:37 GMT'.length

/**
 * The instant of an HTTP-date; `undefined` when it is not one.
 * @param nowMs decides the century of the two-digit year of RFC 850 (more than 50 years ahead is the past);
 * without it 70–99 are of the last century
 */
export function parseHttpDate (text: string, nowMs?: EpochMs): EpochMs | undefined {
  const date = text.trim().toLowerCase()
  if (date.length > LONGEST) return undefined
  let parts = IMF_FIXDATE.exec(date)
  if (parts !== null) return instant(Number(parts[3]), parts[2], parts[1], parts[4], parts[5], parts[6])
  parts = ASCTIME.exec(date)
  if (parts !== null) return instant(Number(parts[6]), parts[1], parts[2], parts[3], parts[4], parts[5])
  parts = RFC_850.exec(date)
  if (parts !== null) return instant(fullYear(Number(parts[3]), nowMs), parts[2], parts[1], parts[4], parts[5], parts[6])
  return undefined
}

let lastSecond = NaN
let lastText = ''

/** An instant in the preferred format (IMF-fixdate). The text of the last second asked for is kept: most answers are of now. */
export function formatHttpDate (ms: EpochMs): string {
  const second = Math.floor(ms / 1000)
  if (second !== lastSecond) {
    lastText = new Date(ms).toUTCString()
    lastSecond = second
  }
  return lastText
}

function fullYear (twoDigits: number, nowMs: EpochMs | undefined): number {
  if (nowMs === undefined) return twoDigits + (twoDigits < 70 ? 2000 : 1900)
  const thisYear = new Date(nowMs).getUTCFullYear()
  const year = thisYear - thisYear % 100 + twoDigits
  return year > thisYear + 50 ? year - 100 : year
}

function instant (year: number, monthName = '', dayText = '', hourText = '', minuteText = '', secondText = ''): EpochMs | undefined {
  const month = MONTHS.indexOf(monthName)
  const day = Number(dayText)
  const hour = Number(hourText)
  const minute = Number(minuteText)
  const second = Number(secondText)
  // Second 60 is a leap second and allowed by the grammar.
  if (month < 0 || hour > 23 || minute > 59 || second > 60) return undefined
  const date = new Date(0)
  // Not Date.UTC, which takes the years 0 to 99 for those of the last century.
  date.setUTCFullYear(year, month, day)
  if (date.getUTCDate() !== day) return undefined
  return date.setUTCHours(hour, minute, second)
}
