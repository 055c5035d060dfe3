const AROUND = /^[ \t]+|[ \t]+$/g

/**
 * The text without the white space of HTTP around it: blanks and tabs (RFC 9110 §5.6.3). `trim()` takes other characters as
 * well, a no-break space above all, which an application would see as part of the value.
 */
export function trimBlanks (text: string): string {
  return text.replace(AROUND, '')
}
