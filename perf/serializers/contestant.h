/*
 * What a library does in the comparison of serializers (docs/serializers.md). Each library has one
 * file here, in C or C++, with a table of its rows; the runner knows nothing else of it.
 */
#ifndef WAYBILL_PERF_SERIALIZERS_CONTESTANT_H
#define WAYBILL_PERF_SERIALIZERS_CONTESTANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perf/serializers/input.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the time of encoding counts. */
enum counts {
    COUNTS_OBJECT, /* serializing an object of the library that was filled beforehand */
    COUNTS_BUILD   /* writing the archive out of the plain input: there is no such object */
};

/*
 * One row of the comparison. Nothing here is shared between rows, and all calls come from one
 * thread. What the library cannot do ends the program, by contestant_fail or an exception: the
 * comparison has no other answer to it.
 */
struct contestant {
    const char *library; /* NULL ends a table */
    enum serial_case which;
    bool zero_copy; /* the large data stay where they are when encoding */
    enum counts counts;
    /* Prepares what users of the library keep between messages. The row and the input stay as they
     * are until close. */
    void *(*open)(const struct contestant *row, const struct input *input);
    /* Writes one archive and returns its bytes, without those that stay where they are and are
     * fetched apart. */
    size_t (*encode)(void *state);
    /* Decodes what encode wrote last, reads every field as input_checksum does, and returns the
     * same sum. What is decoded may take the place of what was decoded before. */
    uint64_t (*decode)(void *state);
    void (*close)(void *state);
};

/* Says what failed and ends the program. */
void contestant_fail(const char *library, const char *what) __attribute__((noreturn));

/* Each library's table, in its own file. */
extern const struct contestant avro_rows[], boost_rows[], capnproto_rows[], cereal_rows[],
    flatbuffers_rows[], msgpack_rows[], protobuf_rows[], protobuf_c_rows[], thrift_rows[],
    waybill_rows[];

/* All of them; ends with NULL. */
extern const struct contestant *const contestants[];

#ifdef __cplusplus
}
#endif

#endif
