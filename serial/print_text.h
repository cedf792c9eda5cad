/* Values in words, in bounded room. */
#ifndef WBI_SERIAL_PRINT_TEXT_H
#define WBI_SERIAL_PRINT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <waybill/type.h>

enum { WBI_TEXT_ROOM = 320, WBI_TEXT_ITEMS = 8 };

/* All zero is empty. What does not fit is left out, and the text then ends in "...". */
struct wbi_text {
    char text[WBI_TEXT_ROOM];
    size_t len;
    bool cut;
};

void wbi_text_add(struct wbi_text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* In quotes; what is not printable ASCII as C escapes; 64 bytes of it at most. */
void wbi_text_add_string(struct wbi_text *t, const void *data, size_t len);

/* The first bytes in hex, `group` of them together. */
void wbi_text_add_hex(struct wbi_text *t, const void *data, size_t len, size_t group);

/* A value of a type whose values are their own bytes (numbers, bitwise types); any alignment. */
void wbi_text_add_raw(struct wbi_text *t, const struct wb_type *type, const void *data);

/* `count` of them, of which the first WBI_TEXT_ITEMS are shown. */
void wbi_text_add_raws(struct wbi_text *t, const struct wb_type *type, const void *data,
                       size_t count);

#endif
