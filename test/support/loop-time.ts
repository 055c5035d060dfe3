const TICK_MS = 10

let ms = 0

setInterval(() => { ms += TICK_MS }, TICK_MS).unref()

/**
 * How long this process has been at work or at rest, in milliseconds. A process that gets no CPU for a second is not a
 * second older: its timers are as late as this one, so what waited for one of them has not waited longer for that.
 * Whatever is really waited for is seen as on a clock.
 */
export function loopMs (): number {
  return ms
}
