# shellcheck shell=bash disable=SC2034
# Sourced by the benchmarks: nodes on loopback, their data in a directory of this run, ended by their
# process ids when the script ends. Needs a release build; tests/run makes one.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
holdfast=${HOLDFAST_BIN:-$root/build/release/holdfast}
die() { echo "$(basename "$0"): $*" >&2; exit 1; }
[ -x "$holdfast" ] ||
  die "$holdfast is missing: cmake --preset release && cmake --build --preset release"

work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-bench-XXXXXX")
pids=()

need() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null || die "$tool is missing: run deploy/install-packages bench"
  done
}

end_processes() {
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  pids=()
}
clean_up() {
  end_processes
  [ -n "${BENCH_KEEP:-}" ] || rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# write_config NAME REGION HTTP_PORT GOSSIP_PORT [PEER…]
write_config() {
  local name=$1 region=$2 http=$3 gossip=$4 peers="" peer
  shift 4
  for peer in "$@"; do peers+="\"127.0.0.1:$peer\", "; done
  mkdir -p "$work/$name"
  cat >"$work/$name/node.toml" <<TOML
[node]
name = "$name"
region = "$region"
data_dir = "$work/$name/data"
[http]
listen = "127.0.0.1:$http"
[gossip]
listen = "127.0.0.1:$gossip"
cluster = "bench"
secret = "a secret of the benchmarks alone"
peers = [${peers%, }]
[faults]
enabled = true
TOML
}

# start_node NAME HTTP_PORT [further words for serve]; sets $pid, and $ready_ms it took to be ready
start_node() {
  local name=$1 http=$2 begun
  shift 2
  begun=$(date +%s%N)
  "$holdfast" serve --config "$work/$name/node.toml" "$@" >>"$work/$name/log" 2>&1 &
  pid=$!
  pids+=("$pid")
  until curl -sf -o /dev/null "http://127.0.0.1:$http/readyz"; do
    kill -0 "$pid" 2>/dev/null || die "$name ended: $(tail -5 "$work/$name/log")"
    [ $(($(date +%s%N) - begun)) -lt 300000000000 ] || die "$name isn't ready after 300 s"
    sleep 0.02
  done
  ready_ms=$((($(date +%s%N) - begun) / 1000000))
}

# stop_node PID [SIGNAL]: SIGTERM unless told otherwise, and waits
stop_node() {
  local status=0
  kill -s "${2:-TERM}" "$1"
  wait "$1" 2>/dev/null || status=$?
  [ -n "${2:-}" ] || [ "$status" -eq 0 ] || die "process $1 ended with status $status"
  local kept=() other
  for other in "${pids[@]}"; do [ "$other" = "$1" ] || kept+=("$other"); done
  pids=("${kept[@]}")
}

# make_skus PORT COUNT: s000000000000, s000000000001, … , 64 connections at a time
make_skus() {
  seq 0 $(($2 - 1)) | awk -v port="$1" '{
    if (NR > 1) print "next"
    printf "url = \"http://127.0.0.1:%s/v1/skus/s%012d\"\n", port, $1
    print "request = PUT\ndata = \"{}\"\nheader = \"Content-Type: application/json\"\noutput = /dev/null\nsilent\nfail"
  }' >"$work/skus.curl"
  curl -Z --parallel-max 64 -K "$work/skus.curl" 2>/dev/null || die "creating SKUs failed"
  rm -f "$work/skus.curl"
}

# batch PORT: NDJSON from standard input, in pieces that the service takes; dies unless all lines succeed
batch() {
  local port=$1 piece
  mkdir -p "$work/pieces"
  split -l "${BATCH_LINES:-5000}" - "$work/pieces/p"
  for piece in "$work"/pieces/p*; do
    curl -sf -H 'Content-Type: application/x-ndjson' --data-binary @"$piece" \
      -o "$work/answer" "http://127.0.0.1:$port/v1/batch" || die "a batch was refused"
    if grep -qv '^{"status":20' "$work/answer"; then
      die "a line of a batch was refused: $(grep -v -m1 '^{"status":20' "$work/answer")"
    fi
  done
  rm -rf "$work/pieces" "$work/answer"
}

# receive PORT COUNT QUANTITY: stock for the SKUs of make_skus
receive() {
  seq 0 $(($2 - 1)) | awk -v quantity="$3" \
    '{ printf "{\"op\":\"receive\",\"sku\":\"s%012d\",\"quantity\":%s}\n", $1, quantity }' |
    batch "$1"
}

# cpu_ticks PID: user and system time, in clock ticks
cpu_ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }
# resident_mib PID
resident_mib() { awk '/^VmRSS:/ { printf "%.0f", $2 / 1024 }' "/proc/$1/status"; }
# field NAME: the first JSON member of that name on standard input, text or number
field() { grep -o "\"$1\":[^,}]*" | head -1 | sed 's/^[^:]*://; s/"//g'; }
# median of the numbers on standard input, one a line: "median min max"
spread() { sort -g | awk '{ v[NR] = $1 } END { print (NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2), v[1], v[NR] }'; }
