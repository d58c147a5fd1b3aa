-- wrk: PUT /v1/reservations with an id that was never used, one line, on SKUs spread evenly.
-- Environment: RUN (prefix of the ids), SKUS (how many there are).
local run = os.getenv("RUN") or "r"
local skus = tonumber(os.getenv("SKUS") or "10000")
local number = 0
local headers = { ["Content-Type"] = "application/json" }

function request()
  number = number + 1
  local body = string.format('{"lines":[{"sku":"s%012d","quantity":2}]}', number * 7919 % skus)
  return wrk.format("PUT", "/v1/reservations/" .. run .. "-" .. number, headers, body)
end

function done(summary, latency)
  -- requests, seconds, p50 ms, p99 ms, refusals and socket errors
  local errors = summary.errors
  io.write(string.format("RESULT %d %.6f %.3f %.3f %d\n", summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
