# Sums up the rounds of scripts/scaling: a row for each series, count, path and size, in the order in which
# they came first. A line of the input is
#
#   ROUND|SERIES|AT|PATH|SIZE|CALLS_PER_S|P50_US|P99_US|MB_PER_S|     of calls
#   ROUND|memory|AT||||||BYTES                                        an idle connection
#
#   awk -v format=table|csv|json -f median.awk -f scaling.awk
#
# Of each the median of the rounds. `ratio` is how many times better a row is than the first one of the same
# series, path and size in the same round: of calls a second, but of chunks of the median time, which one
# interruption does not change.

function middle(row, kind,    r, list, count) {
    split("", list)
    count = 0
    for (r = 1; r <= rounds; r++) {
        if (value[row, r, kind] != "") { list[++count] = value[row, r, kind] }
    }
    return count ? median(list, count) : ""
}

function ratio_of(row,    r, list, count, base, ours, theirs) {
    split("", list)
    base = first[series[row] "|" path[row] "|" size[row]]
    count = 0
    for (r = 1; r <= rounds; r++) {
        ours = series[row] == "chunks" ? value[base, r, "p50"] : value[row, r, "calls"]
        theirs = series[row] == "chunks" ? value[row, r, "p50"] : value[base, r, "calls"]
        if (ours > 0 && theirs > 0) { list[++count] = ours / theirs }
    }
    return count ? median(list, count) : ""
}

# FORM of a number, or what stands for none.
function say(form, number, none) {
    return number == "" ? none : sprintf(form, number)
}

function print_csv(row) {
    if (!headed++) { print "series,at,path,size,calls_per_s,p50_us,p99_us,mb_per_s,ratio,bytes_per_peer,rounds" }
    printf "%s,%d,%s,%s,%s,%s,%s,%s,%s,%s,%d\n", series[row], at[row], path[row], size[row],
        say("%.1f", middle(row, "calls"), ""), say("%.3f", middle(row, "p50"), ""),
        say("%.3f", middle(row, "p99"), ""), say("%.1f", middle(row, "mb"), ""), say("%.3f", ratio_of(row), ""),
        say("%d", middle(row, "bytes"), ""), seen[row]
}

function print_json(row) {
    printf "{\"series\":\"%s\",\"at\":%d,\"path\":%s,\"size\":%s,\"calls_per_s\":%s,\"p50_us\":%s,\"p99_us\":%s,",
        series[row], at[row], path[row] == "" ? "null" : "\"" path[row] "\"", size[row] == "" ? "null" : size[row],
        say("%.1f", middle(row, "calls"), "null"), say("%.3f", middle(row, "p50"), "null"),
        say("%.3f", middle(row, "p99"), "null")
    printf "\"mb_per_s\":%s,\"ratio\":%s,\"bytes_per_peer\":%s,\"rounds\":%d}\n", say("%.1f", middle(row, "mb"), "null"),
        say("%.3f", ratio_of(row), "null"), say("%d", middle(row, "bytes"), "null"), seen[row]
}

function print_table(row) {
    if (series[row] != last) {
        last = series[row]
        printf "%s%s\n", headed++ ? "\n" : "", title[last]
        if (last == "memory") {
            printf "%9s %14s %7s\n", last, "Bytes a peer", "Rounds"
        } else {
            printf "%9s %-8s %9s %12s %12s %12s %10s %8s %7s\n", last, "Path", "Size (B)",
                "Calls/s", "p50 us", "p99 us", "MB/s", "Ratio", "Rounds"
        }
    }
    if (last == "memory") {
        printf "%9d %14s %7d\n", at[row], say("%d", middle(row, "bytes"), "-"), seen[row]
    } else {
        printf "%9d %-8s %9d %12s %12s %12s %10s %8s %7d\n", at[row], path[row], size[row],
            say("%.0f", middle(row, "calls"), "-"), say("%.3f", middle(row, "p50"), "-"),
            say("%.3f", middle(row, "p99"), "-"), say("%.1f", middle(row, "mb"), "-"),
            say("%.3f", ratio_of(row), "-"), seen[row]
    }
}

BEGIN {
    FS = "|"
    title["window"] = "Calls in flight of one thread"
    title["threads"] = "Threads of one client, 16 calls in flight each"
    title["processes"] = "Clients of one server, 16 calls in flight each; calls in a span that all have in common"
    title["peers"] = "Connections of one client to one server, 64 calls in flight that take them in turn"
    title["chunks"] = "Pieces of one call's argument, one call at a time; ratio to one piece of the same bytes"
    title["memory"] = "Connections that only stand: what the server takes for each"
}

NF == 9 || NF == 10 {
    row = $2 "|" $3 "|" $4 "|" $5
    if (!(row in series)) {
        rows[++count] = row
        series[row] = $2
        at[row] = $3
        path[row] = $4
        size[row] = $5
        if (!(($2 "|" $4 "|" $5) in first)) { first[$2 "|" $4 "|" $5] = row }
    }
    rounds = $1 > rounds ? $1 : rounds
    seen[row]++
    if ($2 == "memory") {
        value[row, $1 + 0, "bytes"] = $9
    } else {
        value[row, $1 + 0, "calls"] = $6
        value[row, $1 + 0, "p50"] = $7
        value[row, $1 + 0, "p99"] = $8
        value[row, $1 + 0, "mb"] = $9
    }
}

END {
    for (i = 1; i <= count; i++) {
        if (format == "csv") {
            print_csv(rows[i])
        } else if (format == "json") {
            print_json(rows[i])
        } else {
            print_table(rows[i])
        }
    }
}
