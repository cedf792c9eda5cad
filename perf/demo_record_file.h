/* Reads the record that the demo sends, from a JSON file. */
#ifndef WAYBILL_PERF_DEMO_RECORD_FILE_H
#define WAYBILL_PERF_DEMO_RECORD_FILE_H

#include <stddef.h>
#include <stdint.h>

/* All zero is none. */
struct record {
    int64_t *ids;
    size_t id_count;
    char *string; /* not terminated */
    size_t string_len;
    size_t string_count;
};

/*
 * Reads an object with the members "ids" (64-bit integers), "string" and "string_count"; other
 * members may be strings or integers and are passed over. Strings have no escape sequences. That is
 * so little that it is read here, without a library. Returns 0, or EXIT_FAILURE with a line said
 * that names the file and the place; then *record is all zero.
 */
int record_read(struct record *record, const char *path);

/* Accepts all zero. */
void record_drop(struct record *record);

#endif
