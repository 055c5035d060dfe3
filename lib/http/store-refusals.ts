interface Refusal {
  /** What the word means. */
  readonly means: string
  /** What to do if the response was meant to be stored. */
  readonly cure: string
}

/**
 * Why a response was not stored: the words that reach Cache-Status, the debug log and the admin routes, each with its cure.
 */
export const STORE_REFUSALS = {
  /** RFC 9111 §3: the method must be one whose answers are reused. */
  method: {
    means: 'The method is not one whose answers are reused, or this answer to a POST does not say that it is one to a GET.',
    cure: 'Cache GET routes; HEAD is answered from what a GET has stored.'
  },
  status: {
    means: 'The status is not among those the route stores, or none that a cache may keep.',
    cure: "List it in the route's `statuses`, or say `any` there and for how long in the handler's headers."
  },
  /** §3.3: an incomplete response must not be served as a complete one. */
  partial: {
    means: 'A 206 holds a part of the whole.',
    cure: 'Answer 200 with everything, ranges are cut from what is stored; or say `storeParts`, and in Content-Range which bytes these are of how many.'
  },
  'content-range': {
    means: 'Content-Range counts bytes, but the status is not 206.',
    cure: 'Send 206 for a part, or remove the field.'
  },
  'malformed-header': {
    means: 'The name or value of a field could not be sent again.',
    cure: 'Repair the handler that sets the field.'
  },
  /** §5.2.2.5. */
  'no-store': {
    means: 'Cache-Control forbids storing, or is too long to be read.',
    cure: 'Drop the directive if everybody may see the response.'
  },
  /** §5.2.2.7. */
  private: {
    means: 'Cache-Control says that the response is for one user.',
    cure: 'Drop the directive if everybody may see the response.'
  },
  /** §5.2.2.4. */
  'no-cache': {
    means: 'Cache-Control asks for validation before each use, and nothing here can validate.',
    cure: 'Drop the directive and give a `ttl`, or send an ETag and let the route `revalidate`.'
  },
  /** §7.3 leaves it to us. */
  'set-cookie': {
    means: 'The response sets a cookie, which belongs to one user.',
    cure: 'Set cookies on routes that are not cached, or say `storeSetCookie` if it is meant for everybody.'
  },
  /** §4.1: a `*` never matches. */
  'vary-star': {
    means: 'Vary is `*`, or does not name fields.',
    cure: 'Name the request fields that the response depends on.'
  },
  'vary-credentials': {
    means: 'Vary names Cookie or Authorization: every user would have a copy.',
    cure: 'Name the cookies that count in `cookies`, or give a `partition`.'
  },
  /** §3.5. */
  authorization: {
    means: 'The request carried credentials that are not part of the key.',
    cure: 'Say `public: true` if the response is the same for everybody, else give a `partition`.'
  },
  /** §3.3. */
  'length-mismatch': {
    means: 'Content-Length, or Content-Range, differs from the length of the body.',
    cure: 'Leave Content-Length to Fastify.'
  },
  'no-freshness': {
    means: 'Nobody says how long the response is fresh, or it is stale already.',
    cure: 'Give the route a `ttl`, or send `max-age`. For a 404 or 410, whose `ttl` is `notFoundTtl`, give that.'
  }
} as const satisfies Readonly<Record<string, Refusal>>

export type StoreRefusal = keyof typeof STORE_REFUSALS
