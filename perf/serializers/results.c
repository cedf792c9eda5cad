#include "perf/serializers/results.h"

#include <stdio.h>
#include <string.h>

static const char ours[] = "waybill";

const char *case_name(enum serial_case which)
{
    static const char *const names[CASES] = {
        [CASE_RECORD] = "record",
        [CASE_SCALARS] = "scalars",
        [CASE_NESTED] = "nested",
        [CASE_VECTOR] = "vector",
    };
    return names[which];
}

/* Whether a row is compared with another: one that copies all data with its like, since one that
 * leaves them where they are does less. */
static bool compares(const struct contestant *row, const struct contestant *other)
{
    return row->which == other->which && row->zero_copy >= other->zero_copy &&
           strcmp(other->library, ours) != 0;
}

/* The least time of both of the rows that are not ours and a row is compared with, or 0 where there
 * is none. */
static double fastest(const struct race *race, const struct contestant *row)
{
    double least = 0;
    for (size_t i = 0; i < race->rows; i++) {
        double both = race->row[i].figures.ns[TASK_BOTH];
        if (compares(row, race->row[i].contestant) && (least == 0 || both < least)) {
            least = both;
        }
    }
    return least;
}

struct line {
    const struct contestant *contestant;
    const struct figures *figures;
    double ratio;
};

static void print_table_line(FILE *out, const struct line *line)
{
    const double *ns = line->figures->ns;
    fprintf(out, "%-8s %-21s %-9s %-6s %8zu %12.1f %12.1f %12.1f %8.2f\n",
            case_name(line->contestant->which), line->contestant->library,
            line->contestant->zero_copy ? "on" : "off",
            line->contestant->counts == COUNTS_BUILD ? "build" : "object", line->figures->bytes,
            ns[TASK_ENCODE], ns[TASK_DECODE], ns[TASK_BOTH], line->ratio);
}

static void print_csv_line(FILE *out, const struct line *line)
{
    const double *ns = line->figures->ns;
    fprintf(out, "%s,%s,%s,%s,%zu,%.1f,%.1f,%.1f,%.3f\n", line->contestant->library,
            case_name(line->contestant->which), line->contestant->zero_copy ? "true" : "false",
            line->contestant->counts == COUNTS_BUILD ? "build" : "object", line->figures->bytes,
            ns[TASK_ENCODE], ns[TASK_DECODE], ns[TASK_BOTH], line->ratio);
}

static void print_json_line(FILE *out, const struct line *line)
{
    const double *ns = line->figures->ns;
    fprintf(out,
            "{\"library\":\"%s\",\"case\":\"%s\",\"zero_copy\":%s,\"encode_counts\":\"%s\","
            "\"bytes\":%zu,\"encode_ns\":%.1f,\"decode_ns\":%.1f,\"both_ns\":%.1f,\"ratio\":",
            line->contestant->library, case_name(line->contestant->which),
            line->contestant->zero_copy ? "true" : "false",
            line->contestant->counts == COUNTS_BUILD ? "build" : "object", line->figures->bytes,
            ns[TASK_ENCODE], ns[TASK_DECODE], ns[TASK_BOTH]);
    fprintf(out, line->ratio > 0 ? "%.3f}\n" : "null}\n", line->ratio);
}

static void print_head(FILE *out, enum format format)
{
    if (format == FORMAT_TABLE) {
        fprintf(out, "%-8s %-21s %-9s %-6s %8s %12s %12s %12s %8s\n", "case", "library",
                "zero copy", "counts", "bytes", "encode ns", "decode ns", "both ns", "ratio");
    } else if (format == FORMAT_CSV) {
        fprintf(out,
                "library,case,zero_copy,encode_counts,bytes,encode_ns,decode_ns,both_ns,ratio\n");
    }
}

static void print_foot(FILE *out)
{
    fputs("counts  object: encode is the serialization of an object that was filled beforehand\n"
          "        build: encode writes the archive out of plain C structs; for what is built in "
          "place\n"
          "        (flatbuffers, capnproto) that is the building\n"
          "decode  reads every field; of the vector's values, the first and the last\n"
          "bytes   are without those that zero copy leaves to be fetched apart\n"
          "ratio   of both, to the fastest library of the case; where zero copy is off, to the "
          "fastest\n"
          "        with it off\n",
          out);
}

void results_print(FILE *out, const struct race *race, enum format format)
{
    static void (*const print_line[FORMATS])(FILE *, const struct line *) = {
        [FORMAT_TABLE] = print_table_line,
        [FORMAT_CSV] = print_csv_line,
        [FORMAT_JSON] = print_json_line,
    };
    print_head(out, format);
    for (size_t i = 0; i < race->rows; i++) {
        const struct row *row = &race->row[i];
        double least = fastest(race, row->contestant);
        double ratio = least > 0 ? row->figures.ns[TASK_BOTH] / least : 0;
        print_line[format](out, &(struct line){row->contestant, &row->figures, ratio});
    }
    if (format == FORMAT_TABLE) {
        print_foot(out);
    }
}
