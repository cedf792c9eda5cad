/* The printer of archives, and the values that it prints in one line. */
#ifndef WBI_SERIAL_PRINTER_H
#define WBI_SERIAL_PRINTER_H

#include <stdbool.h>
#include <stdint.h>
#include <waybill/print.h>

#include "serial/find.h"
#include "serial/print_text.h"

enum { WBI_NO_INDEX = -1, WBI_PATH_SHOWN = 8 };

/* What a value is called; its description has the rest. */
struct wbi_place {
    const char *type, *name; /* the last part of a C expression such as &v->name names the value */
    int64_t index;           /* in an array, or WBI_NO_INDEX */
    size_t object_bytes;     /* OBJECT: of the type at its reader */
};

struct wb_printer {
    FILE *out;
    struct wb_reader reader;
    struct wb_arena arena; /* of arrays whose elements are not kept: empty */
    struct {
        const void *data;
        uint64_t bytes;
        uint32_t elem_size;
    } found;                                      /* what the newest vector or buffer was made of */
    uint32_t depth;                               /* of indentation */
    uint32_t quiet;                               /* not 0: inside elements that are not shown */
    uint32_t lines;                               /* printed */
    uint64_t unsaid;                              /* lines that were too many */
    bool failed;                                  /* and said so */
    const struct wbi_place *path[WBI_PATH_SHOWN]; /* of the value under way, the outermost first */
    uint32_t path_len;                            /* may be beyond what is shown */
    struct wbi_text *fault;        /* where only a fault is looked for: its words; else NULL */
    struct wbi_vector_at *vectors; /* where only vectors are: those found, of at most so many */
    uint32_t vectors_found, vectors_most;
};

/* The position in the archive. */
static inline size_t wbi_print_at(const struct wb_printer *p, struct wb_in in)
{
    return (size_t)(in.at - p->reader.begin);
}

static inline bool wbi_print_is_hidden(const struct wb_printer *p)
{
    return p->quiet > 0 || p->fault != NULL || p->vectors != NULL;
}

/* Words for a line; none where it is not to be shown: an archive may have millions of values. */
static inline struct wbi_text wbi_print_text(const struct wb_printer *p)
{
    return (struct wbi_text){.cut = wbi_print_is_hidden(p)};
}

/* Prints a line for the value at byte `at`, where it is to be shown. place NULL: of no value. */
void wbi_print_line(struct wb_printer *p, size_t at, const struct wbi_place *place,
                    const char *rest);

/* Whether the reader has failed. The first to ask says so, at the place where it happened. */
bool wbi_print_failed(struct wb_printer *p, size_t at, const struct wbi_place *place);

/* Prints the value at `in`, whose fewest bytes are promised; returns the place behind it. Of a type
 * that has no lines inside: no struct, option, union or custom type, and no array but a raw one. */
struct wb_in wbi_print_value(struct wb_printer *p, struct wb_in in, const struct wb_type *type,
                             const struct wbi_place *place);

/* Prints an array of strings or byte ranges, as above. */
struct wb_in wbi_print_texts(struct wb_printer *p, struct wb_in in, const struct wb_type *type,
                             const struct wbi_place *place);

/* Says how many of `count` elements are not shown, if any. */
void wbi_print_more(struct wb_printer *p, size_t at, size_t count);

/* Says what was counted at byte `at`, in the function of a custom type, or that it was not. */
void wbi_print_count(struct wb_printer *p, size_t at, size_t count);

#endif
