import { openSync, readSync } from 'node:fs'

const figures = Buffer.alloc(128)
let file: number | undefined

/**
 * CPU time of the thread that calls, in milliseconds; collectors of garbage that run beside it are not in it. Linux counts
 * it in nanoseconds, and brings the count up to date when the whole process is asked for.
 */
export function threadCpuMs (): number {
  process.cpuUsage()
  file ??= openSync('/proc/thread-self/schedstat', 'r')
  const length = readSync(file, figures, 0, figures.length, 0)
  return Number(figures.toString('latin1', 0, length).split(' ')[0]) / 1e6
}
