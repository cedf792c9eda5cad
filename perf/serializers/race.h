/* Rows of the comparison, measured in turn. */
#ifndef WAYBILL_PERF_SERIALIZERS_RACE_H
#define WAYBILL_PERF_SERIALIZERS_RACE_H

#include <stdbool.h>
#include <stddef.h>

#include "perf/serializers/contestant.h"

enum { ROWS_MAX = 128, LIBRARIES_MAX = 16 };

/* What is timed. Decoding includes reading every field; both is one encoding and one decoding in
 * turn, so that what the one leaves in the caches is the other's. */
enum task { TASK_ENCODE, TASK_DECODE, TASK_BOTH, TASKS };

struct figures {
    double ns[TASKS]; /* for one archive, in the median */
    size_t bytes;
};

struct row {
    const struct contestant *contestant;
    struct figures figures;
};

struct race {
    struct row row[ROWS_MAX]; /* the rows of a case lie together */
    size_t rows;
    size_t rounds;
    double seconds; /* at least, for each figure of a round */
};

/* Which rows take part. */
struct race_filter {
    enum serial_case which; /* CASES: of all of them */
    const char *library[LIBRARIES_MAX];
    size_t libraries; /* 0: all of them */
    bool copying, zero_copy;
};

/* Adds the rows, those of a case together, to a race that has none yet. */
void race_add(struct race *race, const struct race_filter *filter);

/* Fills in the figures of all rows: in each round, each row of a case in turn. Every decoding's
 * checksum is compared. Returns 0, or EXIT_FAILURE with a line said; then figures are not set. */
int race_run(struct race *race, const struct input *input);

#endif
