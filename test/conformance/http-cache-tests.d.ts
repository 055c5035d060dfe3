/** The parts of the public suite that are used here; the package brings no types. */
declare module 'http-cache-tests/tests/index.mjs' {
  export interface SuiteTest {
    readonly id: string
    readonly name: string
    readonly kind?: 'required' | 'optimal' | 'check'
    readonly browser_only?: boolean
    readonly depends_on?: readonly string[]
    readonly requests: readonly object[]
  }
  export interface SuiteGroup {
    readonly id: string
    readonly name: string
    readonly tests: readonly SuiteTest[]
  }
  const groups: readonly SuiteGroup[]
  export default groups
}

declare module 'http-cache-tests/tests/surrogate-control.mjs' {
  import type { SuiteGroup } from 'http-cache-tests/tests/index.mjs'

  const group: SuiteGroup
  export default group
}

declare module 'http-cache-tests/client/test.mjs' {
  /** Runs one test; its result stands in `testResults` under its id afterwards: `true`, or a name and a message. */
  export function makeCacheTest (test: object): Promise<void>
  export const testResults: Record<string, true | readonly [name: string, message: string]>
}

declare module 'http-cache-tests/client/config.mjs' {
  interface SuiteResponse {
    readonly status: number
    readonly statusText: string
    readonly headers: Headers
    text: () => Promise<string>
  }
  interface SuiteRequest {
    readonly method?: string
    readonly headers?: ReadonlyArray<readonly [name: string, value: string]>
    readonly body?: string
  }
  export function setFetch (fetch: (url: string, init?: SuiteRequest) => Promise<SuiteResponse>): void
  export function setBaseUrl (url: string): void
}

declare module 'http-cache-tests/server/handle-*.mjs' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  export default function handle (pathSegments: string[], request: IncomingMessage, response: ServerResponse): void
}
