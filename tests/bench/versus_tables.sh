# shellcheck shell=bash disable=SC2154
# Sourced by versus: what it prints, from the *.runs and steps_*.json in $work.

names=(redis_c64 redis_c256 redis_p16 postgres_uniform postgres_hot nginx_static beast_c64 beast_c256
  beast_reads holdfast_c64 holdfast_c256 holdfast_hot gossip_c64 holdfast_batch64 holdfast_batch1000
  holdfast_reads holdfast_stock)
titles=("redis, 64 connections" "redis, 256" "redis, 64, pipelined by 16" "postgres, 64"
  "postgres, 64, one hot SKU" "nginx, a static file, 64" "bare Beast + JSON, 64"
  "bare Beast + JSON, 256" "bare Beast + JSON, reads, 64" "holdfast, 64" "holdfast, 256"
  "holdfast, 64, one hot SKU" "holdfast, 64, three nodes" "holdfast, batches of 64 lines, 64"
  "holdfast, batches of 1,000, 64" "holdfast, /availability, 64" "holdfast, /stock, 64")

# column NAME N: "median min max" of that column of the runs
column() { awk -v c="$2" '{ print $c }' "$work/$1.runs" | spread; }
# over NAME OTHER COLUMN: the same of the quotient, round by round
over() {
  paste -d ' ' "$work/$1.runs" "$work/$2.runs" |
    awk -v c="$3" -v width="$(awk '{ print NF; exit }' "$work/$1.runs")" \
      '{ print ($(c + width) > 0 ? $c / $(c + width) : 0) }' | spread
}

table_of_runs() {
  printf '%-30s %9s %21s %9s %9s %10s %10s %7s\n' "" "ops/s" "min–max" "p50 ms" "p99 ms" \
    "server µs" "client µs" "others"
  local i rate least most p50 p99 server client others
  for i in "${!names[@]}"; do
    read -r rate least most <<<"$(column "${names[i]}" 1)"
    read -r p50 _ <<<"$(column "${names[i]}" 2)"
    read -r p99 _ <<<"$(column "${names[i]}" 3)"
    read -r server _ <<<"$(column "${names[i]}" 4)"
    read -r client _ <<<"$(column "${names[i]}" 5)"
    read -r others _ <<<"$(column "${names[i]}" 6)"
    printf '%-30s %9.0f %19s %9.2f %9.2f %8.1f %8.1f %7.2f\n' "${titles[i]}" "$rate" \
      "$(printf '%.0f–%.0f' "$least" "$most")" "$p50" "$p99" "$server" "$client" "$others"
  done
}

# judged TITLE "VALUE MIN MAX" RELATION TARGET [UNIT]: a row of the second table, into $rows
rows=()
judged() {
  rows+=("$(awk -v title="$1" -v spread="$2" -v relation="$3" -v target="$4" -v unit="${5:-}" 'BEGIN {
    split(spread, v, " ")
    met = relation == ">=" ? v[1] >= target : v[1] <= target
    printf "%s|%.4g|%.4g|%.4g|%s|%s|%s|%s", title, v[1], v[2], v[3], relation, target, unit,
      met ? "met" : "missed" }')")
}

judge_runs() {
  judged "single reservations / redis, 64" "$(over holdfast_c64 redis_c64 1)" ">=" 1.3
  judged "single reservations / redis, 256" "$(over holdfast_c256 redis_c256 1)" ">=" 1.5
  judged "single reservations / postgres" "$(over holdfast_c64 postgres_uniform 1)" ">=" 4
  judged "one hot SKU / postgres" "$(over holdfast_hot postgres_hot 1)" ">=" 30
  judged "single reservations / bare Beast" "$(over holdfast_c64 beast_c64 1)" ">=" 0.65
  judged "p99 / redis, 64" "$(over holdfast_c64 redis_c64 3)" "<=" 1
  judged "server CPU a reservation" "$(column holdfast_c64 4)" "<=" 12 µs
  judged "one hot SKU / uniform" "$(over holdfast_hot holdfast_c64 1)" ">=" 0.9
  judged "batches of 64 / redis pipelined by 16" "$(over holdfast_batch64 redis_p16 1)" ">=" 3
  judged "batches of 1,000 / redis pipelined by 16" "$(over holdfast_batch1000 redis_p16 1)" ">=" 3
  judged "three nodes: a CPU second / one node" "$(over holdfast_c64 gossip_c64 4)" ">=" 0.75
  judged "/availability / bare Beast, reads" "$(over holdfast_reads beast_reads 1)" ">=" 0.9
  judged "/stock / bare Beast, reads" "$(over holdfast_stock beast_reads 1)" ">=" 0.9
}

judge_steps() {
  local names_of=(1x 3x 10x) i
  for i in 0 1 2; do
    judged "${names_of[i]}, 64: goodput / peak" "$(column steps_c64 $((3 * i + 1)))" ">=" 0.9
    judged "${names_of[i]}, 64: accepted p99 / unloaded" \
      "$(column steps_c64 $((3 * i + 2)))" "<=" 3
    judged "${names_of[i]}, 64: p99 of refusals, 0: none" "$(column steps_c64 $((3 * i + 3)))" "<=" 5 ms
  done
  judged "back to normal within, 64" "$(column steps_c64 10)" "<=" 5 s
}

json_of_runs() {
  local i
  printf '{"rounds":%s,"seconds":%s,"skus":%s,"runs":{' "$rounds" "$seconds" "$skus"
  for i in "${!names[@]}"; do
    [ "$i" = 0 ] || printf ','
    printf '"%s":[' "${names[i]}"
    awk '{ printf "%s{\"operations_per_second\":%s,\"p50_ms\":%s,\"p99_ms\":%s,\"server_us\":%s,"\
      "\"client_us\":%s,\"other_cores\":%s}", (NR > 1 ? "," : ""), $1, $2, $3, $4, $5, $6 }' \
      "$work/${names[i]}.runs"
    printf ']'
  done
  printf '},"gossip":['
  awk '{ printf "%s{\"sent_bytes\":%s,\"merge_us\":%s,\"rows\":%s}", (NR > 1 ? "," : ""), $1, $2, $3 }' \
    "$work/gossip.runs"
  printf '],"targets":['
  printf '%s\n' "${rows[@]}" | awk -F'|' '{ printf "%s{\"what\":\"%s\",\"value\":%s,\"min\":%s,"\
    "\"max\":%s,\"relation\":\"%s\",\"target\":%s,\"met\":%s}", (NR > 1 ? "," : ""), $1, $2, $3, $4,
    $5, $6, $8 == "met" ? "true" : "false" }'
  printf ']'
  [ -z "$steps" ] || printf ',"steps":%s,"steps_of_1024_connections":%s' \
    "$(cat "$work/steps_c64.json")" "$(cat "$work/steps_c1024.json")"
  printf '}\n'
}

judge_runs
[ -z "$steps" ] || judge_steps
if [ -n "$json" ]; then
  json_of_runs
  return 0
fi
echo "$rounds rounds of $seconds s, $skus SKUs, medians; µs of CPU an operation; others: cores that other programs used"
echo
table_of_runs
read -r bytes _ <<<"$(column gossip 1)"
read -r merge _ <<<"$(column gossip 2)"
read -r merged _ <<<"$(column gossip 3)"
printf '\nthree nodes: %.0f bytes sent a reservation and peer, %.2f rows merged, %.2f µs of CPU a merged row\n' \
  "$bytes" "$merged" "$merge"
read -r one _ <<<"$(column gossip_c64 4)"
awk -v one="$one" -v merge="$merge" -v merged="$merged" 'BEGIN {
  printf "three nodes: %.1f µs of CPU a reservation where it is sold, %.1f with both peers\n",
    one, one + 2 * merged * merge }'
# What nobody could know: an id of 64 random bits, which SKU, and when, to the millisecond within a
# second. Quantity, deadline and the stock row follow from those and from what was there before.
awk -v skus="$skus" 'BEGIN { bits = 64 + log(skus) / log(2) + 10
  printf "floor by entropy: %.0f bytes a reservation (64 bits of id, %.1f of SKU, 10 of time)\n",
    bits / 8, bits - 74 }'
if [ -n "$steps" ]; then
  printf 'overload, 64 connections, first round: resident memory %s MiB before, %s MiB after, %s bytes a reservation of it\n' \
    "$memory_before" "$memory_after" \
    $(((memory_after - memory_before) * 1048576 / memory_holds))
  read -r tenth lowest highest <<<"$(column steps_c64 11)"
  printf 'last tenth of a second with over 1 %% of late answers, after the overload: %.1f s (%.1f–%.1f)\n' \
    "$tenth" "$lowest" "$highest"
  awk '{ printf "overload, 1,024 connections: goodput / peak %.2f %.2f %.2f at 1x 3x 10x; "\
    "accepted p99 / unloaded %.1f %.1f %.1f; back to normal after %s s\n",
    $1, $4, $7, $2, $5, $8, ($10 > 900 ? "more than 8" : $10 + 0) }' "$work/steps_c1024.runs"
fi
printf '\n%-42s %9s %19s %12s\n' "" "" "min–max" "target"
printf '%s\n' "${rows[@]}" | awk -F'|' '{ gsub(/>=/, "≥", $5); gsub(/<=/, "≤", $5)
  printf "%-42s %9s %17s %10s %s %s\n", $1, $2, $3 "–" $4, $5 " " $6, $7, $8 }'
