/* What is serialized: four cases, as plain C structs that are the same for every library. */
#ifndef WAYBILL_PERF_SERIALIZERS_INPUT_H
#define WAYBILL_PERF_SERIALIZERS_INPUT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum serial_case { CASE_RECORD, CASE_SCALARS, CASE_NESTED, CASE_VECTOR, CASES };

/* Not terminated. */
struct plain_text {
    const char *data;
    size_t len;
};

/* The record of the C++ serializer comparison: 1000 integers, 100 strings of 86 bytes. */
struct plain_record {
    const int64_t *ids;
    size_t id_count;
    const struct plain_text *strings;
    size_t string_count;
};

/* The names of the 20 scalars, for what is written field by field. */
#define SCALARS_DOUBLES(FIELD)                                                                     \
    FIELD(d0) FIELD(d1) FIELD(d2) FIELD(d3) FIELD(d4) FIELD(d5) FIELD(d6) FIELD(d7)
#define SCALARS_LONGS(FIELD) FIELD(l0) FIELD(l1) FIELD(l2) FIELD(l3) FIELD(l4) FIELD(l5)
#define SCALARS_INTS(FIELD) FIELD(i0) FIELD(i1) FIELD(i2) FIELD(i3) FIELD(i4) FIELD(i5)

struct plain_scalars {
    double d0, d1, d2, d3, d4, d5, d6, d7;
    int64_t l0, l1, l2, l3, l4, l5;
    int32_t i0, i1, i2, i3, i4, i5;
};

/* Groups of particles: 20 of them, with 8 particles each, with 0 to 7 tags each. */
struct plain_particle {
    int64_t id;
    double weight;
    const int32_t *tags;
    size_t tag_count;
};

struct plain_group {
    struct plain_text name;
    double position[3];
    const struct plain_particle *particles;
    size_t particle_count;
};

struct plain_nested {
    const struct plain_group *groups;
    size_t group_count;
};

/* A small header and 1 MiB of doubles, which lie at an address that is a multiple of 8. */
struct plain_vector {
    struct plain_text name;
    int64_t step;
    double time;
    const double *values;
    size_t value_count;
};

struct input {
    struct plain_record record;
    struct plain_scalars scalars;
    struct plain_nested nested;
    struct plain_vector vector;
    void *memory; /* of what they point to */
};

/* Fills *input, which owns what it points to: the record from the JSON file (see
 * perf/demo_record_file.h), the rest from fixed numbers. Returns 0, or EXIT_FAILURE with a line
 * said; then *input is all zero. */
int input_open(struct input *input, const char *record_file);

/* Accepts all zero. */
void input_close(struct input *input);

/* The sum that reading every field of the case gives. Its text is the order in which contestants
 * read (perf/serializers/checksum.h says how). */
uint64_t input_checksum(const struct input *input, enum serial_case which);

#ifdef __cplusplus
}
#endif

#endif
