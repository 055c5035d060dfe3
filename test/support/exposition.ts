export interface Family {
  readonly name: string
  readonly type: string
  /** By name and labels, as the line begins. */
  readonly samples: Map<string, number>
}

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*"(?:,(?=[a-zA-Z_])|(?=\})))*\})? (\S+)$/

/** Reads the text format of Prometheus (version 0.0.4), and throws at anything in it that Prometheus would not take. */
export function familiesOf (text: string): Map<string, Family> {
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line has no line feed')
  const families = new Map<string, Family>()
  let help: string | undefined
  let family: Family | undefined
  for (const line of text.split('\n').filter((line) => line !== '')) {
    const [, kind, subject = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? []
    if (kind === 'HELP') {
      help = subject
    } else if (kind === 'TYPE') {
      if (help !== subject) throw new Error(`${subject} has no HELP`)
      if (families.has(subject)) throw new Error(`${subject} comes twice`)
      family = { name: subject, type: rest, samples: new Map() }
      families.set(subject, family)
    } else {
      addSample(family, line)
    }
  }
  for (const each of families.values()) if (each.type === 'histogram') checkHistogram(each)
  return families
}

/** The value of a sample, given as its line begins. */
export function valueOf (families: ReadonlyMap<string, Family>, sample: string): number | undefined {
  const name = sample.split('{')[0] ?? ''
  return (families.get(name) ?? families.get(name.replace(/_(?:bucket|sum|count)$/, '')))?.samples.get(sample)
}

function addSample (family: Family | undefined, line: string): void {
  const [, name = '', labels = '', number = ''] = SAMPLE.exec(line) ?? []
  if (name === '') throw new Error(`not a sample: ${line}`)
  const base = family?.type === 'histogram' ? name.replace(/_(?:bucket|sum|count)$/, '') : name
  if (family === undefined || base !== family.name) throw new Error(`${name} comes before its TYPE`)
  const value = number === '+Inf' ? Infinity : Number(number)
  if (Number.isNaN(value)) throw new Error(`no number: ${line}`)
  if (value < 0 && family.type !== 'gauge') throw new Error(`a counter went down: ${line}`)
  if (family.samples.has(name + labels)) throw new Error(`${name}${labels} comes twice`)
  family.samples.set(name + labels, value)
}

function checkHistogram ({ name, samples }: Family): void {
  const ladders = new Map<string, Array<[bound: string, count: number]>>()
  for (const [sample, value] of samples) {
    const [, before = '', bound = '', after = ''] = /^\w+_bucket\{(.*?),?le="([^"]+)"(.*)\}$/.exec(sample) ?? []
    if (bound === '') continue
    const series = before + after
    ladders.set(series, [...ladders.get(series) ?? [], [bound, value]])
  }
  for (const [series, ladder] of ladders) {
    const labels = series === '' ? '' : `{${series}}`
    if (ladder.some(([, count], step) => step > 0 && count < (ladder[step - 1]?.[1] ?? 0))) throw new Error(`${name}${labels}: the buckets fall`)
    const [last, all] = ladder.at(-1) ?? ['', 0]
    if (last !== '+Inf') throw new Error(`${name}${labels}: no +Inf`)
    if (samples.get(`${name}_count${labels}`) !== all) throw new Error(`${name}${labels}: the count is not that of the last bucket`)
    if (!samples.has(`${name}_sum${labels}`)) throw new Error(`${name}${labels}: no sum`)
  }
}
