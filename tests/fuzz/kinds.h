/* The kinds of values that the archives to be fuzzed are of, by number. */
#ifndef WAYBILL_TESTS_FUZZ_KINDS_H
#define WAYBILL_TESTS_FUZZ_KINDS_H

#include <stdbool.h>
#include <waybill/waybill.h>

struct fuzz_kind {
    const char *name;
    const struct wb_field *fields;
    size_t bytes; /* of a value in memory */
    bool exact;   /* an archive that decodes is what its value encodes to: nothing in it has two
                     forms for one value, as added fields and versions have */
    int (*get)(struct wb_reader *reader, void *value);
    void (*size)(struct wb_sizer *sizer, const void *value);
    void (*put)(struct wb_writer *writer, const void *value);
    void (*drop)(void *value);
};

enum { FUZZ_VALUE_MAX = 2048 }; /* bytes that any of them takes in memory */

/* The kind of that number, whatever the number is. Static storage. */
const struct fuzz_kind *fuzz_kind_at(unsigned number);
unsigned fuzz_kind_count(void);

/* What a custom type passes, in order: `own` and then a counted array of itself. */
struct fuzz_custom {
    const char *name;
    uint8_t version;
    const struct wb_type *own[3]; /* NULL: no more */
};

/* NULL: there is no such type. */
const struct fuzz_custom *fuzz_custom_named(const char *name);

#endif
