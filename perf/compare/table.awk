# Sums up the figures of all rounds: a row for each contestant, measure and size, in the order in which
# they came. A line of the input is
#
#   ROUND|MEASURE|SIZE|CONTESTANT|CARRIES|FIGURE|WHY       FIGURE is empty where WHY says why
#
#   awk -v format=table|csv|json|plot -f median.awk -f table.awk
#
# `ratio` is how many times better "waybill" is than the row's contestant in the same round, the median
# of the rounds that have both: its time over ours, or our rate over its.

function number(value) {
    return sprintf(value < 100 ? "%.3f" : "%.0f", value)
}

# Fills middle, least, most and ratio of a row; `ratio` is "" where no round has both.
function sum_up(row,    i, r, ours, theirs, figures, ratios, list, list_of_ratios) {
    split("", list)
    split("", list_of_ratios)
    figures = ratios = 0
    for (r = 1; r <= rounds; r++) {
        if (!((row, r) in figure)) { continue }
        theirs = list[++figures] = figure[row, r]
        if ((ours_of(row), r) in figure) {
            ours = figure[ours_of(row), r]
            list_of_ratios[++ratios] = measure[row] == "lat" ? theirs / ours : ours / theirs
        }
    }
    taken = figures
    ratio = ratios ? sprintf("%.3f", median(list_of_ratios, ratios)) : ""
    if (figures) {
        middle = median(list, figures)
        least = list[1]
        most = list[figures]
    }
}

function ours_of(row) {
    return measure[row] "|" size[row] "|waybill"
}

function print_table(row) {
    if (measure[row] != last) {
        last = measure[row]
        printf "%s%s\n%9s  %-20s %-16s %10s %10s %10s %7s %8s\n", headed++ ? "\n" : "", title[last], "Size (B)",
            "Contestant", "Carries", "Median", "Least", "Most", "Rounds", "Ratio"
    }
    printf "%9d  %-20s %-16s", size[row], contestant[row], carries[row]
    if (taken) {
        printf " %10s %10s %10s %7d %8s\n", number(middle), number(least), number(most), taken, ratio == "" ? "-" : ratio
    } else {
        printf " %s\n", "cannot run: " why[row]
    }
}

function print_csv(row) {
    if (!headed++) { print "measure,size,contestant,carries,unit,median,least,most,rounds,ratio,why" }
    gsub(/"/, "\"\"", why[row])
    printf "%s,%d,%s,%s,%s,", measure[row], size[row], contestant[row], carries[row], unit[measure[row]]
    if (taken) { printf "%.6g,%.6g,%.6g,", middle, least, most } else { printf ",,," }
    printf "%d,%s,%s\n", taken, ratio, why[row] == "" ? "" : "\"" why[row] "\""
}

# MEASURE|SIZE|CONTESTANT|MEDIAN
function print_plot(row) {
    if (taken) { printf "%s|%d|%s|%.6g\n", measure[row], size[row], contestant[row], middle }
}

function print_json(row) {
    gsub(/\\/, "\\\\", why[row])
    gsub(/"/, "\\\"", why[row])
    printf "{\"measure\":\"%s\",\"size\":%d,\"contestant\":\"%s\",\"carries\":\"%s\",\"unit\":\"%s\",",
        measure[row], size[row], contestant[row], carries[row], unit[measure[row]]
    if (taken) {
        printf "\"median\":%.6g,\"least\":%.6g,\"most\":%.6g,", middle, least, most
    } else {
        printf "\"median\":null,\"least\":null,\"most\":null,"
    }
    printf "\"rounds\":%d,\"ratio\":%s,\"why\":%s}\n", taken, ratio == "" ? "null" : ratio,
        why[row] == "" ? "null" : "\"" why[row] "\""
}

BEGIN {
    FS = "|"
    title["lat"] = "Latency: one at a time, round trip, us"
    title["bw"] = "Bandwidth: a window in flight, payload one way, MB/s (10^6 bytes)"
    title["rate"] = "Rate: small ones, a window in flight, messages or calls a second"
    unit["lat"] = "us"
    unit["bw"] = "MB/s"
    unit["rate"] = "1/s"
}

NF >= 7 {
    row = $2 "|" $3 "|" $4
    if (!(row in measure)) {
        rows[++count] = row
        measure[row] = $2
        size[row] = $3
        contestant[row] = $4
        carries[row] = $5
    }
    rounds = $1 > rounds ? $1 : rounds
    if ($6 != "") { figure[row, $1 + 0] = $6 + 0 } else { why[row] = $7 }
}

END {
    for (at = 1; at <= count; at++) {
        sum_up(rows[at])
        if (format == "csv") {
            print_csv(rows[at])
        } else if (format == "json") {
            print_json(rows[at])
        } else if (format == "plot") {
            print_plot(rows[at])
        } else {
            print_table(rows[at])
        }
    }
}
