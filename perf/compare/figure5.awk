# Sums up the rounds of scripts/figure5. A line of the input, of which all rounds have the same, is
#
#   SIZE|THREADS|PLAIN|RMA|LIMIT       MB/s: pointer chunks, rma chunks, and the machine without the library
#
#   awk -v format=table|csv -f median.awk -f figure5.awk
#
# Of each, the median of the rounds; and of rma over plain, and rma over the limit, that of the ratios in
# one round.

function middle(kind, at,    i, list) {
    split("", list)
    for (i = 1; i <= rounds[at]; i++) { list[i] = value[kind, at, i] }
    return median(list, rounds[at])
}

BEGIN { FS = "|" }

NF == 5 && $3 > 0 && $4 > 0 && $5 > 0 {
    at = $1 "|" $2
    if (!(at in rounds)) { order[++count] = at }
    round = ++rounds[at]
    value["plain", at, round] = $3
    value["rma", at, round] = $4
    value["limit", at, round] = $5
    value["over", at, round] = $4 / $3
    value["of", at, round] = $4 / $5
}

END {
    if (format == "csv") {
        print "size,threads,pointer_mb_per_s,rma_mb_per_s,limit_mb_per_s,rma_over_pointer,rma_over_limit,rounds"
        line = "%d,%d,%.1f,%.1f,%.1f,%.3f,%.3f,%d\n"
    } else {
        printf "%9s %8s %13s %10s %10s %17s %15s %7s\n", "Size (B)", "Threads", "Pointer MB/s", "Rma MB/s",
            "Raw MB/s", "Rma over pointer", "Rma over raw", "Rounds"
        line = "%9d %8d %13.1f %10.1f %10.1f %17.3f %15.3f %7d\n"
    }
    for (i = 1; i <= count; i++) {
        at = order[i]
        split(at, part, "|")
        printf line, part[1], part[2], middle("plain", at), middle("rma", at), middle("limit", at),
            middle("over", at), middle("of", at), rounds[at]
    }
}
