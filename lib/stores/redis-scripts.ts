/**
 * Stores an entry only while the lease on loading it is still the caller's, and gives the lease back with it.
 * KEYS: the entry, the lease (one slot). ARGV: token, entry, life in milliseconds. Answers 1, or 0 when the lease is gone.
 */
export const STORE_IF_LEASED = `
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('UNLINK', KEYS[2])
return 1
`
