import type { AnyMethod } from './decorate.ts'

/** Comments, and what in a default value could be taken for punctuation. */
const QUOTED = /\/\*[^]*?\*\/|\/\/.*|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`(?:\\.|[^`\\])*`/g
const LONE_PARAMETER = /^(?:async\b\s*)?([\w$]+)\s*=>/
const NAME = /^(?:\.\.\.)?\s*([\w$]+)\s*(?:=|$)/

/**
 * What a function calls its parameters, read from its source; `undefined` for one that is taken apart (`{ id }`). A
 * template such as `product:{productId}` needs it: the language tells a decorator nothing of the kind.
 */
export function parameterNames (method: AnyMethod): Array<string | undefined> {
  const source = Function.prototype.toString.call(method).replace(QUOTED, '')
  const lone = LONE_PARAMETER.exec(source)
  if (lone !== null) return [lone[1]]
  return parametersOf(source).map((parameter) => NAME.exec(parameter.trim())?.[1])
}

function parametersOf (source: string): string[] {
  const parameters: string[] = []
  const start = source.indexOf('(') + 1
  let depth = 0
  let from = start
  for (let at = start; at < source.length; at++) {
    const character = source[at] as string
    if (depth === 0 && (character === ',' || character === ')')) {
      parameters.push(source.slice(from, at))
      from = at + 1
      if (character === ')') break
    } else if ('([{'.includes(character)) {
      depth++
    } else if (')]}'.includes(character)) {
      depth--
    }
  }
  return parameters.at(-1)?.trim() === '' ? parameters.slice(0, -1) : parameters
}
