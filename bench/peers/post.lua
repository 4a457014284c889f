-- Posts one file over and over, and says what came of it on one line.
local file = assert(io.open(os.getenv("BENCH_BODY"), "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "application/json"
file:close()
wrk.headers["Authorization"] = os.getenv("BENCH_AUTHORIZATION")

function done(summary)
  local e = summary.errors
  local errors = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format("bench %d %d %d\n", summary.requests, summary.duration, errors))
end
