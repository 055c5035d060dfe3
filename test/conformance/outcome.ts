/** The parts of a test of the suite that tell what its result means. */
export interface JudgedTest {
  readonly id: string
  readonly kind?: 'required' | 'optimal' | 'check'
  readonly depends_on?: readonly string[]
}

/** What the runner of the suite says of a test: `true`, or a name and a message. */
export type Result = true | readonly [name: string, message: string]

/** How one test of the suite ended. */
export interface Outcome {
  readonly id: string
  readonly kind: 'required' | 'optimal' | 'check'
  /** `dependency`: it proves nothing, because a test that it builds upon has failed. */
  readonly end: 'passed' | 'failed' | 'dependency'
  readonly why: string
}

/** How the tests of a run ended, in their order. */
export function outcomesOf (tests: readonly JudgedTest[], resultOf: (id: string) => Result | undefined): Outcome[] {
  const known = new Map(tests.map((test) => [test.id, test]))
  const passed = (id: string): boolean => resultOf(id) === true && proven(id)
  const proven = (id: string): boolean => (known.get(id)?.depends_on ?? []).every(passed)
  return tests.map(({ id, kind = 'required' }) => {
    const result = resultOf(id) ?? ['Missing', 'no result']
    return { id, kind, end: !proven(id) ? 'dependency' : result === true ? 'passed' : 'failed', why: result === true ? '' : result.join(': ') }
  })
}

/** How many of a kind are passed, as `148/165`. */
export function scoreOf (outcomes: readonly Outcome[], kind: Outcome['kind']): string {
  const all = outcomes.filter((each) => each.kind === kind)
  return `${all.filter(({ end }) => end === 'passed').length}/${all.length}`
}
