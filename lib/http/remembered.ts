/** Longer texts are not worth the memory. */
const MAX_TEXT_LENGTH = 256
const MAX_ANSWERS = 200

/**
 * A pure function of a text that remembers its last answers: applications send the same few Cache-Control values, and
 * browsers the same few Accept-Encoding. Full, it forgets everything, so that strangers who vary their texts gain nothing
 * but the unremembered speed. Answers are shared, so they must be immutable.
 */
export function remembered<R> (judge: (text: string) => R): (text: string) => R {
  const answers = new Map<string, R>()
  return (text) => {
    if (text.length > MAX_TEXT_LENGTH) return judge(text)
    const known = answers.get(text)
    if (known !== undefined) return known
    const answer = judge(text)
    if (answers.size >= MAX_ANSWERS) answers.clear()
    answers.set(text, answer)
    return answer
  }
}
