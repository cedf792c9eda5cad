/* Named values in nested groups, as indented text or as one JSON object. */
#ifndef WAYBILL_PERF_WB_INFO_PRINT_H
#define WAYBILL_PERF_WB_INFO_PRINT_H

#include <stdbool.h>

/* All zero prints text. Invariant: depth groups are open. */
struct printer {
    bool json;
    int depth;
    bool filled; /* the group that is open has something in it */
};

/* Opens and closes a group; the first one has no name. */
void print_begin(struct printer *printer, const char *name);
void print_end(struct printer *printer);

void print_value(struct printer *printer, const char *name, const char *value);
void print_valuef(struct printer *printer, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Opens and closes a list of texts; in text it is what is indented below the line before. */
void print_list_begin(struct printer *printer, const char *name);
void print_list_end(struct printer *printer);
void print_item(struct printer *printer, const char *text);

/* Prints "name value" lines, each as a value. One with indented lines below it ("device rxe0 what
 * is known") is a list: named by its first two words, with the rest of it and those lines. */
void print_lines(struct printer *printer, const char *lines);

#endif
