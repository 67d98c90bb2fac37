-- Load for wrk: `wrk ... -s load.lua URL -- PATH FILE [HEADER VALUE ...]` posts the lines of FILE to PATH in turn, and prints one JSON line.
local requests, following = {}, 0

function init(arguments)
  local headers = { ["Content-Type"] = "application/json" }
  for at = 3, #arguments, 2 do
    headers[arguments[at]] = arguments[at + 1]
  end
  for body in io.lines(arguments[2]) do
    requests[#requests + 1] = wrk.format("POST", arguments[1], headers, body)
  end
end

function request()
  following = following % #requests + 1
  return requests[following]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"us":%d,"p50_us":%d,"p99_us":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect, e.read, e.write, e.status, e.timeout))
end
