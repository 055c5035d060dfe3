import { setTimeout as pause } from 'node:timers/promises'
import { failed, type Answer } from './answer.ts'
import { numberOf } from './command-line.ts'
import { done, show, type Call, type End } from './command.ts'
import { count, duration, printable } from './figures.ts'
import { progressBar, type Progress } from './progress-bar.ts'
import { table } from './table.ts'

interface Job extends Progress {
  readonly id: string
  readonly name: string
  readonly state: 'running' | 'ended'
  readonly stored: number
  readonly skipped: number
  readonly outcome?: string
  readonly error?: string
  readonly faults?: ReadonlyArray<{ readonly key: string, readonly error: string }>
}

const POLL_MS = 500

/** `warm`: starts a warming and watches it, or looks after those that there are. */
export async function warm (call: Call): Promise<End> {
  const { client, options, terminal } = call
  const { list, watch, cancel } = options
  if (list === true) return show(call, await client.ask<{ jobs: Job[] }>('GET', '/warm'), ({ jobs }) => jobs.length === 0 ? ['No warming since the start'] : table(['id', 'name', 'state', 'seen', 'stored', 'failed', 'took'], jobs.map((job) => [job.id, job.name, job.outcome ?? job.state, count(job.total), count(job.stored), count(job.failed), duration(job.durationMs / 1000)])))
  if (cancel !== undefined) return show(call, await client.ask<Job>('DELETE', `/warm/${encodeURIComponent(cancel)}`), linesOf)
  if (watch !== undefined) return await follow(call, watch)
  const wanted = await requestOf(call)
  if (!wanted.ok) return { kind: 'mistake', message: wanted.message }
  const started = await client.ask<{ id: string }>('POST', '/warm', wanted.body)
  if (!started.ok) return { kind: 'refused', message: started.message }
  if (options.detach !== true) return await follow(call, started.body.id)
  terminal.print(options.json === true ? JSON.stringify(started.body) : started.body.id)
  return done
}

async function requestOf ({ words, options, terminal }: Call): Promise<Answer<object>> {
  const { learned, 'time-budget': timeBudget, concurrency, host, https, file } = options
  const numbers = { ...timeBudget !== undefined && { timeBudget: numberOf(timeBudget) }, ...concurrency !== undefined && { concurrency: numberOf(concurrency) } }
  const wrong = Object.entries(numbers).find(([, value]) => value === undefined)
  if (wrong !== undefined) return failed(`--${wrong[0] === 'timeBudget' ? 'time-budget' : 'concurrency'} must be a number above 0`)
  if (learned === true) return words.length > 0 || file !== undefined ? failed('--learned goes without paths') : { ok: true, body: { learned, ...numbers } }
  const paths = [...words]
  try {
    if (file !== undefined) paths.push(...(await terminal.read(file)).split('\n').map((line) => line.trim()).filter((line) => line !== ''))
  } catch (error) {
    return failed(`--file ${file ?? ''} cannot be read: ${(error as Error).message}`)
  }
  if (paths.length === 0) return failed('warm needs paths, such as /products/15, or --file, or --learned')
  return { ok: true, body: { paths, ...numbers, ...host !== undefined && { host }, ...https === true && { encrypted: true } } }
}

/** Watches a warming to its end. Whoever interrupts this cancels it. */
async function follow (call: Call, id: string): Promise<End> {
  const { client, terminal: { redraw, columns, interrupted } } = call
  const path = `/warm/${encodeURIComponent(id)}`
  const draw = (job: Progress): void => { redraw?.(progressBar(job, columns)) }
  const events = await client.events(`${path}/events`, interrupted)
  if (!events.ok && !interrupted.aborted) return { kind: 'refused', message: events.message }
  if (events.ok) for await (const { data } of events.body) draw(JSON.parse(data) as Job)
  let last = await client.ask<Job>(interrupted.aborted ? 'DELETE' : 'GET', path)
  // A proxy may have cut the events off.
  while (last.ok && last.body.state === 'running') {
    draw(last.body)
    await pause(POLL_MS, undefined, { signal: interrupted }).catch(() => {})
    last = await client.ask<Job>(interrupted.aborted ? 'DELETE' : 'GET', path)
  }
  redraw?.('')
  const end = show(call, last, linesOf)
  if (end.kind !== 'done' || !last.ok || (last.body.outcome === 'completed' && last.body.failed === 0)) return end
  return { kind: 'refused', message: last.body.outcome === 'completed' ? `${count(last.body.failed)} of ${count(last.body.total)} could not be fetched` : `The warming ended as: ${last.body.outcome ?? 'unknown'}` }
}

function linesOf (job: Job): string[] {
  const { outcome, stored, failed: faulty, skipped, durationMs, error, faults = [] } = job
  return [
    `${outcome ?? 'running'}: ${count(stored)} stored, ${count(faulty)} failed, ${count(skipped)} skipped in ${duration(durationMs / 1000)}`,
    ...error === undefined ? [] : [`  ${printable(error)}`],
    ...faults.map((fault) => `  ${printable(fault.key)}: ${printable(fault.error)}`)
  ]
}
