# Reads what one program printed, and prints the figure that scripts/compare is after, or nothing where
# it has none: microseconds of a round trip, 10^6 bytes a second, or messages a second.
#
#   awk -v program=ucx|libfabric|mpi|waybill|perftest -v measure=lat|bw|rate -v size=BYTES -f read.awk

function positive(text) {
    return text ~ /^[0-9]+(\.[0-9]*)?(e[-+]?[0-9]+)?$/ && text + 0 > 0
}

# From messages a second to what is measured.
function of_rate(rate) {
    return measure == "bw" ? rate * size / 1e6 : rate
}

# iterations, then microseconds one way or of one message (median, mean of a part, mean of all), MiB/s
# twice, and messages/s twice
program == "ucx" && NF == 8 && positive($1) && positive($2) && positive($8) {
    figure = measure == "lat" ? 2 * $2 : of_rate($8)
}

# bytes, sent, answered, total, time, MB/s, microseconds one way, 10^6 transfers a second
program == "libfabric" && measure == "lat" && NF == 8 && $1 ~ /^[0-9]+[kmg]?$/ && positive($7) { figure = 2 * $7 }

# Of latency: bytes, iterations, microseconds (least, most, median, ...), of one way but a READ's whole;
# of bandwidth: bytes, iterations, MiB/s (of the best message, of all), 10^6 messages a second
program == "perftest" && /RDMA_Read/ { is_read = 1 }
program == "perftest" && $1 == size && positive($2) {
    if (measure == "lat" && NF == 9 && positive($5)) {
        figure = is_read ? $5 : 2 * $5
    } else if (measure == "bw" && NF == 5 && positive($4)) {
        figure = $4 * 1.048576
    } else if (measure == "rate" && NF == 5 && positive($5)) {
        figure = $5 * 1e6
    }
}

program == "mpi" && NF == 2 && $1 == "result" && positive($2) {
    figure = measure == "lat" ? $2 : of_rate($2)
}

# CSV, whose first line names the columns
program == "waybill" {
    count = split($0, word, ",")
    if (word[1] == "test") {
        for (i = 1; i <= count; i++) { column[word[i]] = i }
    } else if (word[column["size"]] == size) {
        name = measure == "lat" ? "rtt_us_p50" : measure == "bw" ? "mb_per_s" : "calls_per_s"
        if (positive(word[column[name]])) { figure = word[column[name]] }
    }
}

END {
    if (figure > 0) { printf "%.6g\n", figure }
}
