#include <string.h>
#include <waybill/type.h>

#include "serial/printer.h"
#include "serial/texts.h"

/* Indentation and names are cut, so that a line keeps to WB_PRINT_LINE. */
enum { DEEPEST_SHOWN = 16, NAME_SHOWN = 40 };

/* ---- lines ---- */

/* `name` may be a C expression such as &v->name, of which the last part names the value. */
static const char *last_name(const char *name)
{
    const char *last = name;
    for (const char *c = name; *c != '\0'; c++) {
        if (strchr("&*(>.", *c) != NULL) {
            last = c + 1;
        }
    }
    return last;
}

static void put_line(const struct wb_printer *p, size_t at, const struct wbi_place *place,
                     const char *rest)
{
    uint32_t deep = p->depth < DEEPEST_SHOWN ? p->depth : DEEPEST_SHOWN;
    fprintf(p->out, "%8zu  %*s", at, (int)(2 * deep), "");
    if (place != NULL) {
        fprintf(p->out, "%.*s %.*s", NAME_SHOWN, place->type, NAME_SHOWN, last_name(place->name));
        if (place->index != WBI_NO_INDEX) {
            fprintf(p->out, "[%lld]", (long long)place->index);
        }
    }
    fprintf(p->out, "%s\n", rest);
}

void wbi_print_line(struct wb_printer *p, size_t at, const struct wbi_place *place,
                    const char *rest)
{
    if (wbi_print_is_hidden(p)) {
        return;
    }
    if (p->lines == WB_PRINT_LINES) {
        p->unsaid++;
        return;
    }
    p->lines++;
    put_line(p, at, place, rest);
}

/* ---- where it failed ---- */

static void add_place(struct wbi_text *t, const struct wbi_place *place,
                      const struct wbi_place *outer)
{
    bool element = place->index != WBI_NO_INDEX;
    /* an element is called as its array, which stands before it already */
    if (!element || outer == NULL || strcmp(outer->name, place->name) != 0) {
        wbi_text_add(t, "%s%.*s", outer != NULL ? "." : "", NAME_SHOWN, last_name(place->name));
    }
    if (element) {
        wbi_text_add(t, "[%lld]", (long long)place->index);
    }
}

/* The path of the value at `place`, which may be on it already; NULL: of the whole archive. */
static void say_fault(const struct wb_printer *p, size_t at, const struct wbi_place *place)
{
    const struct wbi_place *outer = NULL;
    uint32_t shown = p->path_len < WBI_PATH_SHOWN ? p->path_len : WBI_PATH_SHOWN;
    for (uint32_t i = 0; i < shown; i++) {
        add_place(p->fault, p->path[i], outer);
        outer = p->path[i];
    }
    if (p->path_len > shown) {
        wbi_text_add(p->fault, ".(%u deep)", p->path_len);
    } else if (place != NULL && place != outer) {
        add_place(p->fault, place, outer);
        outer = place;
    }
    wbi_text_add(p->fault, "%sat byte %zu: %s", outer != NULL ? ", " : "", at, p->reader.what);
}

bool wbi_print_failed(struct wb_printer *p, size_t at, const struct wbi_place *place)
{
    if (p->reader.status == WB_OK) {
        return false;
    }
    if (!p->failed && p->fault != NULL) {
        say_fault(p, at, place);
        p->failed = true;
    }
    p->failed |= p->vectors != NULL;
    if (!p->failed) {
        struct wbi_text text = {0};
        wbi_text_add(&text, " ! %s: %s", wb_status_text(p->reader.status), p->reader.what);
        put_line(p, at, place, text.text);
        p->failed = true;
    }
    return true;
}

/* ---- values that are one line ---- */

/* The chunk that was taken since landing number `before` was next, or NULL. */
static const struct wb_landing *taken(const struct wb_printer *p, uint32_t before)
{
    return p->reader.landing_next > before ? &p->reader.landings[before] : NULL;
}

/* Where the bytes are. Returns whether they can be looked at. */
static bool add_source(struct wbi_text *t, const struct wb_printer *p, uint32_t before)
{
    const struct wb_landing *landing = taken(p, before);
    if (landing == NULL) {
        return true;
    }
    wbi_text_add(t, " (chunk %u: %s%s)", before, landing->kind == WB_CHUNK_RMA ? "RMA" : "POINTER",
                 landing->data == NULL ? ", not landed" : "");
    return landing->data != NULL;
}

static struct wb_in walk_raw(struct wb_printer *p, struct wb_in in, const struct wb_type *type,
                             const struct wbi_place *place)
{
    struct wbi_text text = wbi_print_text(p);
    wbi_text_add(&text, " = ");
    wbi_text_add_raw(&text, type, in.at);
    wbi_print_line(p, wbi_print_at(p, in), place, text.text);
    in.at += type->bytes;
    return in;
}

static struct wb_in walk_bool(struct wb_printer *p, struct wb_in in, const struct wbi_place *place)
{
    size_t at = wbi_print_at(p, in);
    wb_bool value;
    in = wb_bool_wire_get(&p->reader, in, &value);
    if (!wbi_print_failed(p, at, place)) {
        wbi_print_line(p, at, place, value ? " = true" : " = false");
    }
    return in;
}

static struct wb_in walk_bytes(struct wb_printer *p, struct wb_in in, const struct wb_type *type,
                               const struct wbi_place *place)
{
    size_t at = wbi_print_at(p, in);
    uint32_t before = p->reader.landing_next;
    wb_bytes value;
    in = wb_bytes_wire_get(&p->reader, in, &value);
    if (wbi_print_failed(p, at, place)) {
        return in;
    }
    struct wbi_text text = wbi_print_text(p);
    wbi_text_add(&text, " = %zu bytes", value.len);
    if (add_source(&text, p, before)) {
        if (type->kind == WB_TYPE_STR) {
            wbi_text_add(&text, " ");
            wbi_text_add_string(&text, value.data, value.len);
        } else {
            wbi_text_add_hex(&text, value.data, value.len, 1);
        }
    }
    wbi_print_line(p, at, place, text.text);
    return in;
}

/* Notes where the vector was that has just been read; the last one wanted ends the walk. */
static void note_vector(struct wb_printer *p, uint32_t before)
{
    bool chunk = taken(p, before) != NULL;
    bool empty = p->found.elem_size == 0;
    p->vectors[p->vectors_found++] =
        (struct wbi_vector_at){.packed = chunk || empty ? NULL : p->found.data,
                               .landing = chunk ? before : WBI_NO_LANDING};
    if (p->vectors_found == p->vectors_most) {
        wb_reader_fail(&p->reader, WB_ERR_INVALID, "no more are wanted");
    }
}

/* A vector, an object or a buffer. */
static struct wb_in walk_handle(struct wb_printer *p, struct wb_in in, const struct wb_type *type,
                                const struct wbi_place *place)
{
    size_t at = wbi_print_at(p, in);
    uint32_t before = p->reader.landing_next;
    wb_rma_vector vector = {0};
    wb_buffer buffer = {0};
    p->found.bytes = p->found.elem_size = 0;
    if (type->kind == WB_TYPE_BUFFER) {
        in = wb_wire_get_buffer(&p->reader, in, &buffer);
        p->found.data = buffer.data;
        p->found.bytes = buffer.len;
        p->found.elem_size = 1;
    } else if (type->kind == WB_TYPE_OBJECT) {
        in = wb_wire_get_object(&p->reader, in, &vector, place->object_bytes);
    } else {
        in = wb_wire_get_rma(&p->reader, in, &vector);
    }
    if (p->vectors != NULL && p->reader.status == WB_OK && type->kind != WB_TYPE_BUFFER) {
        note_vector(p, before);
    }
    if (wbi_print_failed(p, at, place)) {
        return in;
    }
    struct wbi_text text = wbi_print_text(p);
    if (p->found.elem_size == 0) {
        wbi_text_add(&text, " = empty handle");
    } else if (type->kind == WB_TYPE_RMA) {
        wbi_text_add(&text, " = %llu of %u bytes",
                     (unsigned long long)(p->found.bytes / p->found.elem_size), p->found.elem_size);
    } else {
        wbi_text_add(&text, " = %llu bytes", (unsigned long long)p->found.bytes);
    }
    if (add_source(&text, p, before) && p->found.bytes > 0) {
        wbi_text_add_hex(&text, p->found.data, (size_t)p->found.bytes,
                         type->kind == WB_TYPE_RMA ? p->found.elem_size : 1);
    }
    wbi_print_line(p, at, place, text.text);
    return in;
}

static struct wb_in walk_enum(struct wb_printer *p, struct wb_in in, const struct wb_type *type,
                              const struct wbi_place *place)
{
    size_t at = wbi_print_at(p, in);
    int32_t value;
    const struct wb_field *field = type->fields;
    in = wb_i32_wire_get(&p->reader, in, &value);
    while (field->kind != NULL && field->count != value) {
        field++;
    }
    if (field->kind == NULL) {
        wb_reader_fail(&p->reader, WB_ERR_MALFORMED, "a value that its enum does not have");
        in.spare = 0;
    }
    if (!wbi_print_failed(p, at, place)) {
        struct wbi_text text = wbi_print_text(p);
        wbi_text_add(&text, " = %s (%d)", field->name, value);
        wbi_print_line(p, at, place, text.text);
    }
    return in;
}

static struct wb_in walk_raw_array(struct wb_printer *p, struct wb_in in,
                                   const struct wb_type *type, const struct wbi_place *place)
{
    size_t at = wbi_print_at(p, in);
    uint32_t before = p->reader.landing_next;
    const void *data;
    size_t count;
    in = wb_wire_get_array(&p->reader, in, &data, &count, type->elem->bytes, type->align);
    if (wbi_print_failed(p, at, place)) {
        return in;
    }
    struct wbi_text text = wbi_print_text(p);
    wbi_text_add(&text, " = %zu of %s", count, type->elem->name);
    if (add_source(&text, p, before)) {
        wbi_text_add(&text, " ");
        wbi_text_add_raws(&text, type->elem, data, count);
    }
    wbi_print_line(p, at, place, text.text);
    return in;
}

/* A string or byte range among others: in the archive, or chunk number *chunk. */
static void print_text(struct wb_printer *p, const struct wb_type *type,
                       const struct wbi_place *place, size_t at, wb_bytes value, uint32_t *chunk)
{
    const struct wb_reader *r = &p->reader;
    const struct wb_landing *landing = taken(p, *chunk);
    bool packed =
        landing == NULL || landing->data != value.data || landing->len != (uint64_t)value.len;
    struct wbi_text text = wbi_print_text(p);
    wbi_text_add(&text, " = %zu bytes", value.len);
    if (packed || add_source(&text, p, (*chunk)++)) {
        if (type->kind == WB_TYPE_STR) {
            wbi_text_add(&text, " ");
            wbi_text_add_string(&text, value.data, value.len);
        } else {
            wbi_text_add_hex(&text, value.data, value.len, 1);
        }
    }
    wbi_print_line(p, packed ? (size_t)((const uint8_t *)value.data - r->begin) : at, place,
                   text.text);
}

struct wb_in wbi_print_texts(struct wb_printer *p, struct wb_in in, const struct wb_type *type,
                             const struct wbi_place *place)
{
    struct wb_arena *outer = p->reader.arena;
    struct wb_arena own = {0};
    size_t at = wbi_print_at(p, in), count;
    uint32_t chunk = p->reader.landing_next;
    struct wbi_text text = wbi_print_text(p);
    void *items;
    p->reader.arena = &own;
    in = wb_wire_get_texts(&p->reader, in, &items, &count);
    p->reader.arena = outer;
    if (!wbi_print_failed(p, at, place)) {
        wbi_text_add(&text, ": %zu of %s", count, type->elem->name);
        wbi_print_line(p, at, place, text.text);
        p->depth++;
        for (size_t i = 0; i < count && i < WBI_TEXT_ITEMS; i++) {
            struct wbi_place one = {
                .type = type->elem->name, .name = place->name, .index = (int64_t)i};
            print_text(p, type->elem, &one, at, wbi_text_at(items, i), &chunk);
        }
        wbi_print_more(p, at, count);
        p->depth--;
    }
    wb_arena_free(&own);
    return in;
}

void wbi_print_more(struct wb_printer *p, size_t at, size_t count)
{
    if (count > WBI_TEXT_ITEMS) {
        struct wbi_text text = wbi_print_text(p);
        wbi_text_add(&text, "... %zu more", count - WBI_TEXT_ITEMS);
        wbi_print_line(p, at, NULL, text.text);
    }
}

struct wb_in wbi_print_value(struct wb_printer *p, struct wb_in in, const struct wb_type *type,
                             const struct wbi_place *place)
{
    switch (type->kind) {
    case WB_TYPE_BOOL:
        return walk_bool(p, in, place);
    case WB_TYPE_STR:
    case WB_TYPE_BYTES:
        return walk_bytes(p, in, type, place);
    case WB_TYPE_RMA:
    case WB_TYPE_OBJECT:
    case WB_TYPE_BUFFER:
        return walk_handle(p, in, type, place);
    case WB_TYPE_ENUM:
        return walk_enum(p, in, type, place);
    case WB_TYPE_ARRAY:
        return walk_raw_array(p, in, type, place);
    default:
        return walk_raw(p, in, type, place);
    }
}

void wbi_print_count(struct wb_printer *p, size_t at, size_t count)
{
    if (!wbi_print_failed(p, at, NULL)) {
        struct wbi_text text = wbi_print_text(p);
        wbi_text_add(&text, "count = %zu", count);
        wbi_print_line(p, at, NULL, text.text);
    }
}
