'use strict'

const retryMs = 3000
/** Ends what listens now. */
let following = new AbortController()

/** @param {AbortSignal} signal */
const pause = async (signal) => {
  await new Promise((resolve) => {
    const timer = setTimeout(resolve, retryMs)
    signal.addEventListener('abort', () => { clearTimeout(timer); resolve(undefined) })
  })
}

/** @param {CacheReport} report @param {string} how it came @param {'good' | 'soft'} tone */
const arrive = (report, how, tone) => {
  at('login').hidden = true
  at('board').hidden = at('leave').hidden = false
  showReport(report)
  say('state', `${how}, ${new Date(report.generatedAtMs).toLocaleTimeString()}`, tone)
}

/** The report as it comes; where no stream can be had, it is asked for every few seconds, and the page says why. */
const follow = async () => {
  following.abort()
  following = new AbortController()
  const { signal } = following
  while (!signal.aborted) {
    try {
      const trouble = await listen('/report/events', signal, (_name, report) => { arrive(report, 'live', 'good') })
        .then(() => 'the stream has ended', (error) => {
          if (error instanceof Locked) throw error
          return wordsOf(error)
        })
      if (signal.aborted) return
      arrive(await ask('/report'), `every ${retryMs / 1000} s (${trouble})`, 'soft')
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof Locked) {
        lock(session.token !== '')
        return
      }
      say('state', `${wordsOf(error)}; trying again`, 'bad')
    }
    await pause(signal)
  }
}

/** @param {boolean} wrong whether a token was shown */
const lock = (wrong) => {
  following.abort()
  session.token = ''
  sessionStorage.removeItem(kept)
  at('login').hidden = false
  at('board').hidden = at('leave').hidden = true
  say('login-error', wrong ? 'This token is not the right one.' : '', 'bad')
  say('state', '')
  at('token').focus()
}

at('login').addEventListener('submit', (event) => {
  event.preventDefault()
  session.token = at('token').value.trim()
  sessionStorage.setItem(kept, session.token)
  at('token').value = ''
  at('login').hidden = true
  follow()
})
at('leave').addEventListener('click', () => { lock(false) })

// A page that nobody sees keeps no stream open.
document.addEventListener('visibilitychange', () => {
  if (document.hidden) following.abort()
  else if (at('login').hidden) follow()
})
