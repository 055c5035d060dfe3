'use strict'

/** @param {'names' | 'paths'} id of a field with commas between the names */
const namesIn = (id) => at(id).value.split(',').map((name) => name.trim()).filter((name) => name !== '')

/** Does what a form asks for, and tells what is wrong. @param {string} out @param {() => Promise<void>} task */
const attempt = async (out, task) => {
  try {
    await task()
  } catch (error) {
    if (error instanceof Locked) lock(true)
    else say(out, wordsOf(error), 'bad')
  }
}

// What was said of the last purge does not hold for what is written now.
at('purge').addEventListener('input', () => { say('purged', '') })

at('purge').addEventListener('submit', async (event) => {
  event.preventDefault()
  const dryRun = event.submitter instanceof HTMLButtonElement && event.submitter.value === 'try'
  await attempt('purged', async () => {
    const answer = await ask('/invalidate', { [at('what').value]: namesIn('names'), soft: at('soft').checked, dryRun })
    if (!dryRun) say('purged', answer.reach === 'everywhere' ? 'Purged in all processes that share the cache.' : 'Purged here; the others follow when the shared log can be reached.', 'good')
    else say('purged', `It would touch ${answer.touched}${answer.touched > 0 ? `: ${answer.keys.slice(0, 10).join(', ')}` : '.'}`)
  })
})

/** The warming that this page has started, as long as it runs. @type {string | undefined} */
let warming

/** @param {string | undefined} id */
const setWarming = (id) => {
  warming = id
  at('warm-start').disabled = id !== undefined
  at('warm-bar').hidden = at('warm-cancel').hidden = id === undefined
}

/** @param {Readonly<Record<string, any>>} job */
const showWarming = ({ total, expected, stored, failed, skipped, outcome, durationMs, faults }) => {
  const bar = at('warm-bar')
  bar.max = expected ?? 1
  if (expected === undefined) bar.removeAttribute('value')
  else bar.value = total
  const figures = [`${count(stored)} stored`, ...failed > 0 ? [`${count(failed)} failed`] : [], ...skipped > 0 ? [`${count(skipped)} left alone`] : []].join(', ')
  const first = faults?.[0]
  if (outcome === undefined) say('warmed', `${count(total)}${expected === undefined ? '' : ` of ${count(expected)}`}: ${figures}`)
  else say('warmed', `${outcome} in ${time(durationMs / 1000)}: ${figures}${first === undefined ? '' : `; the first fault: ${first.key}, ${first.error}`}`, failed > 0 || outcome !== 'completed' ? 'bad' : 'good')
}

at('learned').addEventListener('change', () => { at('paths').disabled = at('learned').checked })

at('warm').addEventListener('submit', async (event) => {
  event.preventDefault()
  await attempt('warmed', async () => {
    const { id } = await ask('/warm', at('learned').checked ? { learned: true } : { paths: namesIn('paths') })
    setWarming(id)
    await listen(`/warm/${encodeURIComponent(id)}/events`, AbortSignal.timeout(3_600_000), (_name, job) => { showWarming(job) })
  })
  setWarming(undefined)
})

at('warm-cancel').addEventListener('click', async () => {
  if (warming !== undefined) await attempt('warmed', async () => { await request(`/warm/${encodeURIComponent(warming ?? '')}`, { method: 'DELETE' }) })
})

follow()
