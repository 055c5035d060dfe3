'use strict'
// The page only ever writes text (textContent, attributes of its own elements), so nothing that a key or a route is called
// can become markup.

/**
 * @template {string} Id
 * @param {Id} id
 * @returns {Id extends keyof Fields ? Fields[Id] : HTMLElement}
 */
const at = (id) => /** @type {any} */ (document.getElementById(id))

/**
 * @param {string} name
 * @param {Readonly<Record<string, string | number>>} attributes
 * @param {ReadonlyArray<Node | string>} children
 */
const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value))
  made.append(...children)
  return made
}

/** @param {string} id @param {readonly string[]} head @param {ReadonlyArray<readonly string[]>} rows */
const fillTable = (id, head, rows) => {
  at(id).replaceChildren(
    element('thead', {}, element('tr', {}, ...head.map((name) => element('th', { scope: 'col' }, name)))),
    element('tbody', {}, ...rows.map((cells) => element('tr', {}, ...cells.map((cell) => element('td', {}, cell))))))
}

/** @param {string} id @param {readonly string[]} lines @param {string} none what to say when there is none */
const fillList = (id, lines, none) => {
  at(id).replaceChildren(...lines.length > 0 ? lines.map((line) => element('li', {}, line)) : [element('li', { class: 'soft' }, none)])
}

/** @param {string} id @param {string} text @param {'' | 'good' | 'bad' | 'soft'} tone */
const say = (id, text, tone = '') => {
  at(id).textContent = text
  at(id).className = tone
}
