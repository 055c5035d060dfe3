export interface Fence {
  readonly language: string
  /** What follows the language on the opening line. */
  readonly words: readonly string[]
  readonly code: string
  /** Line of the opening, counted from 1. */
  readonly line: number
}

export interface Table {
  /** What the comment above the table says it lists: `<!-- table: errors -->`. */
  readonly name: string
  /** Each row as its cells by the column's heading, in lower case. */
  readonly rows: ReadonlyArray<Readonly<Record<string, string>>>
}

/** The fenced blocks of a document. */
export function fencesOf (markdown: string): Fence[] {
  return [...markdown.matchAll(/^```([^\n]*)\n([^]*?)^```$/gm)].map((found) => {
    const [language = '', ...words] = (found[1] ?? '').trim().split(/\s+/)
    return { language, words, code: found[2] ?? '', line: markdown.slice(0, found.index).split('\n').length }
  })
}

/** The tables that have a name. Cells are as they are written. */
export function tablesOf (markdown: string): Table[] {
  return [...markdown.matchAll(/<!-- table: ([^\n]*?) -->\n+((?:\|[^\n]*\n?)+)/g)].map((found) => {
    const [head = [], , ...rows] = (found[2] ?? '').trim().split('\n').map(cellsOf)
    return { name: found[1] ?? '', rows: rows.map((cells) => Object.fromEntries(head.map((title, index) => [title.toLowerCase(), cells[index] ?? '']))) }
  })
}

function cellsOf (row: string): string[] {
  return row.replace(/^\||\|\s*$/g, '').split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'))
}

/** What stands between backticks in a cell: the names that a row is about. */
export function namesIn (cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map((found) => found[1] ?? '')
}

/** A link to another place in the project. */
export interface Link { readonly path: string, readonly anchor: string | undefined }

/** Where a document leads to, except to other sites. */
export function linksOf (markdown: string): Link[] {
  const prose = withoutFences(markdown).replace(/`[^`\n]*`/g, '')
  return [...prose.matchAll(/\]\(([^)\s]+)\)|\b(?:src|srcset|href)="([^"\s]+)"/g)].map((found) => found[1] ?? found[2] ?? '').filter((target) => !target.includes('://')).map((target) => {
    const [path = '', anchor] = target.split('#')
    return { path, anchor }
  })
}

/** The anchors that GitHub makes of the headings of a document. */
export function anchorsOf (markdown: string): string[] {
  return [...withoutFences(markdown).matchAll(/^#+ (.*)$/gm)].map((found) => (found[1] ?? '').toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').trim().replaceAll(' ', '-'))
}

const withoutFences = (markdown: string): string => markdown.replace(/^```[^]*?^```$/gm, '')
