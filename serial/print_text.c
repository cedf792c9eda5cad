#include "serial/print_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STRING_SHOWN = 64, HEX_SHOWN = 16 };

void wbi_text_add(struct wbi_text *t, const char *format, ...)
{
    static const char ellipsis[] = "...";
    size_t room = sizeof t->text - sizeof ellipsis - t->len + 1;
    if (t->cut) {
        return;
    }
    va_list args;
    va_start(args, format);
    int len = vsnprintf(t->text + t->len, room, format, args);
    va_end(args);
    t->cut = len < 0 || (size_t)len >= room;
    t->len = strlen(t->text);
    if (t->cut) {
        memcpy(t->text + t->len, ellipsis, sizeof ellipsis);
        t->len += sizeof ellipsis - 1;
    }
}

static void add_character(struct wbi_text *t, unsigned char c)
{
    if (c == '"' || c == '\\') {
        wbi_text_add(t, "\\%c", c);
    } else if (c >= ' ' && c <= '~') {
        wbi_text_add(t, "%c", c);
    } else if (c == '\n') {
        wbi_text_add(t, "\\n");
    } else {
        wbi_text_add(t, "\\x%02x", c);
    }
}

void wbi_text_add_string(struct wbi_text *t, const void *data, size_t len)
{
    if (t->cut) {
        return;
    }
    const unsigned char *bytes = data;
    wbi_text_add(t, "\"");
    for (size_t i = 0; i < len && i < STRING_SHOWN; i++) {
        add_character(t, bytes[i]);
    }
    wbi_text_add(t, len > STRING_SHOWN ? "\"..." : "\"");
}

void wbi_text_add_hex(struct wbi_text *t, const void *data, size_t len, size_t group)
{
    if (t->cut) {
        return;
    }
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len && i < HEX_SHOWN; i++) {
        wbi_text_add(t, "%s%02x", i % group == 0 ? " " : "", bytes[i]);
    }
    if (len > HEX_SHOWN) {
        wbi_text_add(t, " ...");
    }
}

static bool same_bits(double a, double b)
{
    uint64_t of_a, of_b;
    memcpy(&of_a, &a, sizeof of_a);
    memcpy(&of_b, &b, sizeof of_b);
    return of_a == of_b;
}

/* In as few digits as say which number it is. */
static void add_float(struct wbi_text *t, const void *data, size_t bytes)
{
    float narrow = 0;
    double wide = 0;
    if (bytes == sizeof narrow) {
        memcpy(&narrow, data, sizeof narrow);
        wide = (double)narrow;
    } else {
        memcpy(&wide, data, sizeof wide);
    }
    char text[32];
    int most = bytes == sizeof narrow ? 9 : 17;
    for (int digits = 6; digits <= most; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, wide);
        double found = bytes == sizeof narrow ? (double)strtof(text, NULL) : strtod(text, NULL);
        if (same_bits(found, wide)) {
            break;
        }
    }
    wbi_text_add(t, "%s", text);
}

static void add_scalar(struct wbi_text *t, const struct wb_type *type, const void *data)
{
    char sort = type->name[strlen("wb_")]; /* of wb_i8 to wb_f64 */
    uint64_t bits = 0;
    memcpy(&bits, data, type->bytes);
    if (sort == 'f') {
        add_float(t, data, type->bytes);
    } else if (sort == 'i') {
        unsigned above = 64 - 8 * (unsigned)type->bytes;
        wbi_text_add(t, "%" PRIi64, (int64_t)(bits << above) >> above);
    } else {
        wbi_text_add(t, "%" PRIu64, bits);
    }
}

/* The fields of a bitwise struct, which has no padding. */
static void add_fields(struct wbi_text *t, const struct wb_field *field, const void *data)
{
    const unsigned char *at = data;
    wbi_text_add(t, "{");
    for (size_t i = 0; field->kind != NULL; field++, i++) {
        wbi_text_add(t, "%s%s ", i > 0 ? ", " : "", field->name);
        if (strcmp(field->kind, "FIXED") == 0) {
            wbi_text_add_raws(t, field->of, at, (size_t)field->count);
        } else {
            wbi_text_add_raw(t, field->of, at);
        }
        at += field->of->bytes * (size_t)field->count;
    }
    wbi_text_add(t, "}");
}

void wbi_text_add_raw(struct wbi_text *t, const struct wb_type *type, const void *data)
{
    if (t->cut) {
        return;
    }
    if (type->kind == WB_TYPE_SCALAR) {
        add_scalar(t, type, data);
    } else if (type->fields != NULL) {
        add_fields(t, type->fields, data);
    } else {
        wbi_text_add(t, "%zu bytes", type->bytes);
        wbi_text_add_hex(t, data, type->bytes, 1);
    }
}

void wbi_text_add_raws(struct wbi_text *t, const struct wb_type *type, const void *data,
                       size_t count)
{
    wbi_text_add(t, "[");
    for (size_t i = 0; i < count && i < WBI_TEXT_ITEMS; i++) {
        wbi_text_add(t, "%s", i > 0 ? ", " : "");
        wbi_text_add_raw(t, type, (const unsigned char *)data + i * type->bytes);
    }
    if (count > WBI_TEXT_ITEMS) {
        wbi_text_add(t, ", ...");
    }
    wbi_text_add(t, "]");
}
