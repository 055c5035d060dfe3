/*
 * What runs inside Redis. Each script touches one key, the log, so it works on Cluster as it is; all are short.
 *
 * The log is a stream with IDs of our own choice, `<epoch>-<seq>`. Within an epoch the numbers are contiguous, so that
 * whoever sees 7 and then 9 knows that 8 is missing. An epoch is begun when there is no log or when it is not to be
 * trusted; its number is the time of the Redis server, or one more than the largest known where that clock went back.
 */

/** The newest ID and its two numbers. What is under our name and is no log of ours (IDs beyond 15 digits) is removed. */
const TAIL = `
local function tailOf (log)
  local found = redis.pcall('XREVRANGE', log, '+', '-', 'COUNT', 1)
  if found.err and not string.find(found.err, 'WRONGTYPE', 1, true) then error(found.err) end
  local id = not found.err and found[1] and found[1][1]
  if not found.err and not id then return nil end
  local epoch, seq = string.match(id or '', '^(%d+)-(%d+)$')
  if epoch and #epoch <= 15 and #seq <= 15 then return id, tonumber(epoch), tonumber(seq) end
  redis.call('DEL', log)
  return nil
end
`

/** IDs and records in turn. */
const PAGE = `
local function page (log, from, to, count)
  local flat = {}
  for _, entry in ipairs(redis.call('XRANGE', log, from, to, 'COUNT', count)) do
    flat[#flat + 1] = entry[1]
    flat[#flat + 1] = entry[2][2] or ''
  end
  return flat
end
`

/**
 * Appends ARGV[4] and publishes it on ARGV[1]; keeps about ARGV[2] records. The record begins a new epoch when the log
 * is missing or older than epoch ARGV[3]. With ARGV[5] = 'renew' it does nothing but that: ten instances that distrust
 * the same epoch begin one new one. Answers the ID of the record, or of the present tail, and the records between it
 * and ARGV[5], the newest one the caller knows: so whoever has been told that his purge is written down has also heard
 * of all before it, and what he loads from then on stands behind it.
 *
 * Redis out of memory refuses the XADD that is the first write of a script, so it is never the first: PERSIST is, which
 * also undoes a TTL that somebody may have put on the log. The log is capped, so this cannot outgrow anything.
 *
 * Where XADD is refused all the same, DEL and PUBLISH may not be. A purge that cannot be written down must not be
 * forgotten, so the log itself goes: without its epoch nobody trusts an entry in Redis any more. The record is
 * published with `-` for an ID, and the answer is `-`.
 *
 * A user may be allowed the one and not the other. What is written down is in the log, told or not, and whoever is not
 * allowed to tell must not write it again and again. So what was refused is the last part of the answer; what can neither
 * be written down nor told is an error. With ARGV[5] = 'probe' it is a record of nothing, and does no harm where it is refused.
 */
export const APPEND = `${TAIL}${PAGE}
local log, least = KEYS[1], tonumber(ARGV[3])
local tail, epoch, seq = tailOf(log)
epoch = epoch or 0
local function beginEpoch ()
  local now = redis.call('TIME')
  epoch = math.max(tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000), least, epoch + 1)
  seq = 0
end
local refusal = ''
local function add ()
  seq = seq + 1
  local id = string.format('%.0f-%.0f', epoch, seq)
  local added = redis.pcall('XADD', log, 'MAXLEN', '~', ARGV[2], id, 'r', ARGV[4])
  refusal = type(added) == 'table' and added.err or ''
  return type(added) ~= 'table' and id
end
redis.pcall('PERSIST', log)
if not tail or epoch < least then beginEpoch() elseif ARGV[5] == 'renew' then return { tail, {}, '-' } end
local between = {}
local knownEpoch, knownSeq = string.match(ARGV[5], '^(%d+)-(%d+)$')
if tonumber(knownEpoch) == epoch and tonumber(knownSeq) < seq then
  between = page(log, string.format('%.0f-%.0f', epoch, tonumber(knownSeq) + 1), '+', 1000)
end
local id = add()
if not id and ARGV[5] ~= 'probe' then
  redis.call('DEL', log)
  beginEpoch()
  id = add()
end
if id or (ARGV[5] ~= 'renew' and ARGV[5] ~= 'probe') then
  local told = redis.pcall('PUBLISH', ARGV[1], (id or '-') .. ' ' .. ARGV[4])
  if type(told) == 'table' and told.err then
    if not id then return told end
    refusal = told.err
  end
end
return { id or '-', between, refusal }
`

/**
 * Up to ARGV[2] records from ID ARGV[1] on, with the IDs of the newest and the oldest record there is: in one step, so
 * that the three agree. Answers an empty list when there is no log.
 */
export const READ = `${TAIL}${PAGE}
local log = KEYS[1]
local tail = tailOf(log)
if not tail then return {} end
return { tail, redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1][1], page(log, ARGV[1], '+', ARGV[2]) }
`

/** Publishes the ID of the newest record, or `-`, on the channel ARGV[1]. */
export const BEAT = `${TAIL}
local tail = tailOf(KEYS[1])
redis.call('PUBLISH', ARGV[1], tail or '-')
return 1
`
