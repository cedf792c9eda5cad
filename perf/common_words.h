/* How the values of options are read. Except words_index, words_number and words_bytes, each
 * returns 0, or EXIT_USAGE with a line said that names the option. */
#ifndef WAYBILL_PERF_COMMON_WORDS_H
#define WAYBILL_PERF_COMMON_WORDS_H

#include <stddef.h>
#include <stdint.h>

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_CSV };

enum { FABRIC_ROOM = 16, NO_FD = -1 };

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Finds `word` among names; returns its index, or -1. */
int words_index(const char *word, const char *const names[], size_t count);

/* Reads a whole number that ends at *end; returns 0, or -1. */
int words_number(const char *text, uint64_t max, uint64_t *number, const char **end);

/* A whole number from 1 to max. */
int words_count(const char *option, const char *text, uint64_t max, uint64_t *count);

/* A whole number from low to high. */
int words_between(const char *option, const char *text, uint64_t low, uint64_t high,
                  uint64_t *number);

/* Bytes, with a suffix K, M or G (powers of 1024). */
int words_size(const char *option, const char *text, size_t *bytes);

/* Reads bytes with a suffix that end at *end; 0 to 1024G. Returns 0, or -1. */
int words_bytes(const char *text, size_t *bytes, const char **end);

/* N or N:M, 1 <= N <= M <= max; N alone is both. */
int words_range(const char *option, const char *text, uint32_t max, uint32_t *first,
                uint32_t *last);

/* N or N:M of --size; N alone is both. */
int words_sizes(const char *text, size_t *min, size_t *max);

/* Those of --time. */
int words_seconds(const char *text, double *seconds);

/* One of names[first, count). */
int words_choice(const char *option, const char *text, const char *const names[], size_t count,
                 size_t first, int *choice);

/* --format: text, json, or, where `last` is FORMAT_CSV, csv. */
int words_format(const char *text, enum format last, enum format *format);

/* --fabric: a word; whether there is such a one is found out later. */
int words_fabric(const char *text, char fabric[FABRIC_ROOM]);

/* A descriptor that a program hands to one that it starts. */
int words_fd(const char *option, const char *text, int *fd);

#endif
