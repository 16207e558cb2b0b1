/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The script. It is ratelimit_record.c, penalty.c and window.c of modules/common in Lua, and a test
 * holds it to them; but the record stays in Redis, under one key, packed:
 *
 *     { 1, requests, burst, leases, refusals, until, block, forget }
 *
 * the first being the record's version, the windows { width, newest, count of slot 0, .. 15 } or
 * { 0, 0 } where they were never used, the last three those of the penalty.
 *
 * What is under way is counted in a window too: a lease counts in the slot in which it was taken or
 * renewed last, and is given back there. So a gateway that is killed holds its leases no longer
 * than they last, and the record's size does not depend on how many there are.
 *
 * A clock that was set back by more than a window, as a failover may, restarts the window: its
 * counts would otherwise stand until the clock is there again.
 */
#include "script.h"

const char script_text[] =
    "local key, a = KEYS[1], {}\n"
    "for i = 1, #ARGV do a[i] = tonumber(ARGV[i]) end\n" SCRIPT_CLOCK
    "local now = t[1] * 1000000 + t[2]\n"
    "local nonce, late, what, limits, concurrency, lease = a[1], a[2], a[3], 4, a[8], a[9]\n"
    "local after, window, block, max = a[10], a[11], a[12], a[13]\n"
    "local from, search, amount = a[14], a[15], a[16]\n"
    "if late > 0 and now > late then return {nonce, now, 4, -1, 0, 0, 0, -1} end\n"

    "local function at(w, length)\n"
    "  local width = math.ceil(length / 15)\n"
    "  local slot = math.floor(now / width)\n"
    "  if w[1] ~= width or w[2] - slot >= 16 then\n"
    "    w[1], w[2] = width, slot\n"
    "    for i = 3, 18 do w[i] = 0 end\n"
    "  elseif slot > w[2] then\n"
    "    for i = math.max(w[2] + 1, slot - 15), slot do w[3 + i % 16] = 0 end\n"
    "    w[2] = slot\n"
    "  end\n"
    "end\n"
    "local function used(w)\n"
    "  local n = 0\n"
    "  for i = 3, 18 do n = n + w[i] end\n"
    "  return n\n"
    "end\n"
    "local dirty = false\n"
    "local function add(w, n)\n"
    "  local i = 3 + w[2] % 16\n"
    "  w[i] = w[i] + n\n"
    "  dirty = true\n"
    "end\n"
    /* When the slot that is `age` older than the newest is counted no more. */
    "local function leaves(w, age) return (w[2] - age + 16) * w[1] end\n"
    "local function wait(w, count, length)\n"
    "  if count < 1 then return length end\n"
    "  local rest = 0\n"
    "  for age = 0, 15 do\n"
    "    rest = rest + w[3 + (w[2] - age) % 16]\n"
    "    if rest + 1 > count then return math.max(leaves(w, age) - now, 0) end\n"
    "  end\n"
    "  return 0\n"
    "end\n"
    "local function empty_at(w)\n"
    "  if w[1] == 0 then return 0 end\n"
    "  for age = 0, 15 do\n"
    "    if w[3 + (w[2] - age) % 16] > 0 then return leaves(w, age) end\n"
    "  end\n"
    "  return 0\n"
    "end\n"

    "local raw = redis.call('GET', key)\n"
    "local r = raw and cmsgpack.unpack(raw)\n"
    "if not r or r[1] ~= 1 then r = {1, {0, 0}, {0, 0}, {0, 0}, {0, 0}, 0, 0, 0} end\n"
    "local leases, refusals = r[4], r[5]\n"
    "local why, waits, slot = 0, 0, -1\n"
    "local function save()\n"
    "  if not dirty then return end\n"
    "  local ends = 0\n"
    "  for i = 2, 5 do ends = math.max(ends, empty_at(r[i])) end\n"
    "  if r[7] > 0 then ends = math.max(ends, r[8]) end\n"
    "  if ends > now then\n"
    "    redis.call('SET', key, cmsgpack.pack(r), 'PX', "
    "string.format('%.0f', math.ceil((ends - now) / 1000)))\n"
    "  elseif raw then\n"
    "    redis.call('DEL', key)\n"
    "  end\n"
    "end\n"

    /* A lease that is not in its slot any more has run out, or was flushed away; if a renewal
     * nobody heard of has moved one that has run out since, that one will too. */
    "local function give_back()\n"
    "  at(leases, lease)\n"
    "  if from > leases[2] or from < leases[2] - 15 then return end\n"
    "  for i = from, search == 1 and leases[2] or from do\n"
    "    local k = 3 + i % 16\n"
    "    if leases[k] > 0 then leases[k] = leases[k] - 1 dirty = true return end\n"
    "  end\n"
    "end\n"
    "if what >= 2 then\n"
    "  if from >= 0 then give_back() end\n"
    "  if what == 2 then at(leases, lease) add(leases, 1) slot = leases[2] end\n"
    "  for i = 0, 1 do\n"
    "    local length = a[limits + 2 * i + 1]\n"
    "    if amount > 0 and length > 0 then at(r[2 + i], length) add(r[2 + i], amount) end\n"
    "  end\n"
    "  save()\n"
    "  return {nonce, now, 0, -1, 0, 0, 0, slot}\n"
    "end\n"

    "for i = 0, 1 do\n"
    "  local w, count, length = r[2 + i], a[limits + 2 * i], a[limits + 2 * i + 1]\n"
    "  if length > 0 then\n"
    "    at(w, length)\n"
    "    if used(w) + 1 > count then\n"
    "      why, waits = 1, math.max(waits, wait(w, count, length))\n"
    "    end\n"
    "  end\n"
    "end\n"
    "if concurrency >= 0 then\n"
    "  at(leases, lease)\n"
    "  if why == 0 and used(leases) >= concurrency then why = 2 end\n"
    "end\n"

    "local function blocked()\n"
    "  if now >= r[6] then return 0 end\n"
    "  if r[6] - now > max then r[6], r[8], dirty = now + max, now + 2 * max, true end\n"
    "  return r[6] - now\n"
    "end\n"
    "local function refuse()\n"
    "  if now >= r[8] then r[7] = 0 end\n"
    "  r[8] = math.max(r[8], now + max)\n"
    "  at(refusals, window)\n"
    "  add(refusals, 1)\n"
    "  if used(refusals) < after then return 0 end\n"
    "  for i = 3, 18 do refusals[i] = 0 end\n"
    "  if r[7] == 0 then r[7] = block else r[7] = math.min(r[7] * 2, max) end\n"
    "  r[6], r[8] = now + r[7], now + r[7] + max\n"
    "  return r[7]\n"
    "end\n"
    "if after > 0 then\n"
    "  local rest = blocked()\n"
    "  if rest == 0 and why > 0 then rest = refuse() end\n"
    "  if rest > 0 then why, waits = 3, rest end\n"
    "end\n"

    "for i = 0, 1 do\n"
    "  if why == 0 and what == 0 and a[limits + 2 * i + 1] > 0 then add(r[2 + i], 1) end\n"
    "end\n"
    "if why == 0 and concurrency >= 0 then add(leases, 1) slot = leases[2] end\n"

    "local tightest, remaining, reset = -1, 0, 0\n"
    "for i = 0, 1 do\n"
    "  if a[limits + 2 * i + 1] > 0 then\n"
    "    local w, left = r[2 + i], math.max(a[limits + 2 * i] - used(r[2 + i]), 0)\n"
    "    if tightest < 0 or left < remaining then\n"
    "      tightest, remaining, reset = i, left, math.max(empty_at(w) - now, 0)\n"
    "    end\n"
    "  end\n"
    "end\n"
    "if why == 3 then remaining, reset = 0, math.max(waits, reset) end\n"
    "save()\n"
    /* Whoever only looks would not notice that the refusal which follows cannot be charged (a full
     * server, a replica). This changes nothing, but fails where a write would. */
    "if what == 1 and why == 0 and not dirty then redis.call('SET', key, '', raw and 'NX' or 'XX') "
    "end\n"
    "return {nonce, now, why, tightest, waits, remaining, reset, slot}\n";
