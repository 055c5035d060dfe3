import type { ConfigurationName } from './configurations.ts'

interface LeftOut {
  readonly why: string
  /** Where the tests fail; everywhere if it does not say. */
  readonly in?: readonly ConfigurationName[]
  readonly ids: readonly string[]
}

/** The tests of the suite that are not passed, and why. A test that is passed all the same must leave the list. */
export const LEFT_OUT: readonly LeftOut[] = [
  {
    why: 'The suite is older than RFC 9111, whose §5.1 ignores an Age that is no number, and counts the first of several.',
    ids: ['nonnumeric', 'negative', 'float', 'prefix-twoline', 'dup-0', 'dup-0-twoline', 'dup-old', 'parameter', 'numeric-parameter'].map((id) => `age-parse-${id}`)
  },
  {
    why: 'The suite is older than RFC 9111, whose §3.2 lets a 304 replace every field except Content-Length.',
    ids: ['Content-Encoding', 'Content-MD5', 'Content-Range', 'ETag'].map((name) => `304-etag-update-response-${name}`)
  },
  {
    why: 'The suite expects an answer 200 of an origin that has hung up. That nothing stale is served is tested in test/plugins/http-policy.test.ts.',
    ids: ['must-revalidate', 'proxy-revalidate', 'no-cache', 's-maxage=2'].map((directive) => `stale-close-${directive}`)
  },
  {
    why: 'Where Last-Modified is missing, Date takes its place (RFC 9111 §4.3.2), and that is later than the date in the condition.',
    ids: ['conditional-lm-fresh-no-lm']
  },
  {
    why: 'What is missing to a part is not asked for by itself. (The one of this test has no strong entity-tag by which to join the two, RFC 9111 §3.4.)',
    ids: ['partial-store-partial-complete']
  },
  {
    why: 'A 206 is not kept unless `storeParts` says so.',
    in: ['defaults'],
    ids: ['', '-byterange', '-absent', '-suffix'].map((id) => `partial-store-partial-reuse-partial${id}`)
  },
  {
    why: 'The answer to a POST is not kept unless `storePost` says so.',
    in: ['defaults'],
    ids: ['method-POST']
  },
  {
    why: 'A variant is not chosen by its Content-Language: what Vary names has to match (RFC 9111 §4.1).',
    ids: ['vary-normalise-lang-select']
  },
  {
    why: 'A targeted field is a dictionary, whose keys are in lower case (RFC 9651 §3.2), so `MaX-aGe` is none.',
    in: ['honouring', 'full'],
    ids: ['surrogate-max-age-case-insensitive']
  },
  {
    why: 'Targeted fields are not obeyed unless `targets` names them.',
    in: ['defaults'],
    ids: [
      ...['', '-max', '-max-plus', '-me-target', '-other-target', '-age', '-0', '-extension', '-case-insensitive', '-expires',
        '-cc-max-age-invalid-expires', '-0-expires', '-short-cc-max-age', '-long-cc-max-age'].map((id) => `surrogate-max-age${id}`),
      'surrogate-no-store-cc-fresh', 'surrogate-fresh-cc-nostore'
    ]
  },
  {
    why: 'No lifetime is guessed unless `heuristics` says so.',
    in: ['defaults', 'honouring'],
    ids: [200, 203, 204, 404, 405, 410, 414, 501, 599].map((status) => `heuristic-${status}-cached`)
  },
  {
    why: 'What sets a cookie is not stored unless `storeSetCookie` says so.',
    in: ['defaults', 'honouring'],
    ids: ['headers-store-Set-Cookie', '304-etag-update-response-Set-Cookie', 'other-set-cookie']
  },
  {
    why: 'A request with a cookie is one of a user, unless `credentials` says otherwise.',
    in: ['defaults', 'honouring'],
    ids: ['other-cookie']
  },
  {
    why: 'The order of languages counts, unless `ignoreLanguageOrder` says otherwise.',
    in: ['defaults', 'honouring'],
    ids: ['vary-normalise-lang-order']
  },
  {
    why: 'A request with Authorization passes the cache by, unless `shareByDirective` says otherwise.',
    in: ['defaults'],
    ids: ['other-authorization-public', 'other-authorization-must-revalidate', 'other-authorization-smaxage']
  }
]

/** The tests that are not passed with a configuration. */
export function leftOutOf (name: ConfigurationName): string[] {
  return LEFT_OUT.flatMap(({ in: within, ids }) => within === undefined || within.includes(name) ? ids : []).sort()
}
