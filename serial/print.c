/* The printer: walks an archive by its description, with the reader's own functions. */
#include <waybill/print.h>

#include <string.h>
#include <waybill/custom.h>

#include "serial/archive.h"
#include "serial/printer.h"

static struct wb_in walk(struct wb_printer *p, struct wb_in in, const struct wb_type *type,
                         const struct wbi_place *place);

/* `count` values of which each takes its fewest bytes from what was promised. */
static struct wb_in walk_elements(struct wb_printer *p, struct wb_in in, const struct wb_type *type,
                                  const char *name, size_t count)
{
    uint32_t quiet = p->quiet;
    size_t at = wbi_print_at(p, in);
    p->depth++;
    for (size_t i = 0; i < count && p->reader.status == WB_OK; i++) {
        struct wbi_place place = {.type = type->name, .name = name, .index = (int64_t)i};
        p->quiet = quiet + (i >= WBI_TEXT_ITEMS);
        at = i == WBI_TEXT_ITEMS ? wbi_print_at(p, in) : at;
        in = walk(p, in, type, &place);
    }
    p->quiet = quiet;
    if (p->reader.status == WB_OK) {
        wbi_print_more(p, at, count);
    }
    p->depth--;
    return in;
}

static struct wb_in walk_array(struct wb_printer *p, struct wb_in in, const struct wb_type *type,
                               const struct wbi_place *place)
{
    size_t at = wbi_print_at(p, in);
    size_t count;
    void *items;
    in = wb_wire_get_count(&p->reader, in, &items, &count, type->elem->wire_min, 0);
    if (wbi_print_failed(p, at, place)) {
        return in;
    }
    struct wbi_text text = wbi_print_text(p);
    wbi_text_add(&text, ": %zu of %s", count, type->elem->name);
    wbi_print_line(p, at, place, text.text);
    return walk_elements(p, in, type->elem, place->name, count);
}

/* The value inside an option or a union, whose tag has been read. */
static struct wb_in walk_inside(struct wb_printer *p, struct wb_in in, const struct wb_type *type,
                                const char *name)
{
    struct wbi_place inside = {.type = type->name, .name = name, .index = WBI_NO_INDEX};
    p->depth++;
    wbi_get_promise(&p->reader, &in, type->wire_min);
    in = wbi_print_failed(p, wbi_print_at(p, in), &inside) ? in : walk(p, in, type, &inside);
    p->depth--;
    return in;
}

static struct wb_in walk_option(struct wb_printer *p, struct wb_in in, const struct wb_type *type,
                                const struct wbi_place *place)
{
    size_t at = wbi_print_at(p, in);
    bool has = wbi_get_tag(&p->reader, &in, 1) == 1;
    if (wbi_print_failed(p, at, place)) {
        return in;
    }
    wbi_print_line(p, at, place, has ? ": there is one" : " = none");
    return has ? walk_inside(p, in, type->elem, "value") : in;
}

static struct wb_in walk_union(struct wb_printer *p, struct wb_in in, const struct wb_type *type,
                               const struct wbi_place *place)
{
    size_t at = wbi_print_at(p, in);
    unsigned cases = 0;
    while (type->fields[cases].kind != NULL) {
        cases++;
    }
    const struct wb_field *found = &type->fields[wbi_get_tag(&p->reader, &in, cases - 1)];
    if (wbi_print_failed(p, at, place)) {
        return in;
    }
    struct wbi_text text = wbi_print_text(p);
    wbi_text_add(&text, ": case %s", found->kind);
    wbi_print_line(p, at, place, text.text);
    return walk_inside(p, in, found->of, found->name);
}

/* Its function reads it, and tells us of each part by wb_pass_show. */
static struct wb_in walk_custom(struct wb_printer *p, struct wb_in in, const struct wb_type *type,
                                const struct wbi_place *place)
{
    struct wb_reader *r = &p->reader;
    size_t at = wbi_print_at(p, in);
    struct wb_arena *outer = r->arena;
    struct wb_arena own = {0}; /* what is read lasts no longer than this value */
    if (p->vectors != NULL) {  /* its functions are not run for that */
        wb_reader_fail(r, WB_ERR_INVALID, "a custom type");
        in.spare = 0;
        return in;
    }
    struct wbi_text text = wbi_print_text(p);
    wbi_text_add(&text, ": version %u", *in.at);
    wbi_print_line(p, at, place, text.text);
    r->arena = &own;
    p->depth++;
    in = type->walk(r, in);
    p->depth--;
    r->arena = outer;
    wb_arena_free(&own);
    wbi_print_failed(p, at, place);
    return in;
}

static struct wb_in walk_fixed(struct wb_printer *p, struct wb_in in, const struct wb_field *field,
                               const struct wbi_place *place)
{
    const struct wb_type *type = field->of;
    size_t count = (size_t)field->count;
    struct wbi_text text = wbi_print_text(p);
    if (type->kind == WB_TYPE_SCALAR || type->kind == WB_TYPE_BITWISE) {
        wbi_text_add(&text, " = %zu of %s ", count, type->name);
        wbi_text_add_raws(&text, type, in.at, count);
        wbi_print_line(p, wbi_print_at(p, in), place, text.text);
        in.at += count * type->bytes;
        return in;
    }
    wbi_text_add(&text, ": %zu of %s", count, type->name);
    wbi_print_line(p, wbi_print_at(p, in), place, text.text);
    return walk_elements(p, in, type, place->name, count);
}

static struct wb_in walk_added(struct wb_printer *p, struct wb_in in, const struct wb_field *field,
                               const struct wbi_place *place)
{
    struct wbi_added added;
    size_t at = wbi_print_at(p, in);
    bool there = wb_added_get_begin(&p->reader, &in, wbi_added_id(field->type, field->name),
                                    field->of->wire_min, &added);
    if (wbi_print_failed(p, at, place)) {
        return in;
    }
    if (!there) {
        wbi_print_line(p, at, place, " = not sent: the reader's default");
        return in;
    }
    in = wb_added_get_end(&p->reader, walk(p, in, field->of, place), &added);
    wbi_print_failed(p, at, place);
    return in;
}

static struct wb_in walk_fields(struct wb_printer *p, struct wb_in in,
                                const struct wb_field *fields)
{
    for (const struct wb_field *f = fields; f->kind != NULL && p->reader.status == WB_OK; f++) {
        bool object = f->of->kind == WB_TYPE_OBJECT;
        struct wbi_place place = {.type = object ? f->type : f->of->name,
                                  .name = f->name,
                                  .index = WBI_NO_INDEX,
                                  .object_bytes = object ? (size_t)f->count : 0};
        if (strcmp(f->kind, "FIXED") == 0) {
            in = walk_fixed(p, in, f, &place);
        } else if (strcmp(f->kind, "ADDED") == 0) {
            in = walk_added(p, in, f, &place);
        } else {
            in = walk(p, in, f->of, &place);
        }
    }
    return in;
}

static struct wb_in walk_struct(struct wb_printer *p, struct wb_in in, const struct wb_type *type,
                                const struct wbi_place *place)
{
    wbi_print_line(p, wbi_print_at(p, in), place, ":");
    p->depth++;
    in = walk_fields(p, in, type->fields);
    p->depth--;
    return in;
}

static struct wb_in walk_type(struct wb_printer *p, struct wb_in in, const struct wb_type *type,
                              const struct wbi_place *place)
{
    switch (type->kind) {
    case WB_TYPE_STRUCT:
        return walk_struct(p, in, type, place);
    case WB_TYPE_OPTION:
        return walk_option(p, in, type, place);
    case WB_TYPE_UNION:
        return walk_union(p, in, type, place);
    case WB_TYPE_CUSTOM:
        return walk_custom(p, in, type, place);
    default:
        if (type->kind != WB_TYPE_ARRAY || type->align != 0) {
            return wbi_print_value(p, in, type, place);
        }
        return type->elem->kind == WB_TYPE_STR || type->elem->kind == WB_TYPE_BYTES
                   ? wbi_print_texts(p, in, type, place)
                   : walk_array(p, in, type, place);
    }
}

static struct wb_in walk(struct wb_printer *p, struct wb_in in, const struct wb_type *type,
                         const struct wbi_place *place)
{
    if (p->path_len < WBI_PATH_SHOWN) {
        p->path[p->path_len] = place;
    }
    p->path_len++;
    in = walk_type(p, in, type, place);
    p->path_len--;
    return in;
}

/* Whether all chunks that were taken since landing number `before` was next have landed. */
static bool have_landed(const struct wb_reader *r, uint32_t before)
{
    while (before < r->landing_next && r->landings[before].data != NULL) {
        before++;
    }
    return before == r->landing_next;
}

struct wb_printer *wb_pass_show(struct wb_reader *r, const struct wb_type *type, const char *name,
                                size_t index)
{
    struct wb_printer *p = r->printer;
    struct wb_reader before = *r;
    struct wb_in in;
    struct wbi_place place = {.type = type->name,
                              .name = name,
                              .index = index == SIZE_MAX ? WBI_NO_INDEX : (int64_t)index};
    bool hidden = place.index >= WBI_TEXT_ITEMS;
    p->quiet += hidden;
    if (wbi_reader_open(r, type->wire_min, &in)) {
        walk(p, in, type, &place);
    }
    if (r->status == WB_OK && !have_landed(r, before.landing_next)) {
        wb_reader_fail(r, WB_ERR_INVALID,
                       "its type's function may look at a chunk that has not landed");
    }
    p->quiet -= hidden;
    if (!wbi_print_failed(p, (size_t)(before.at - before.begin), &place)) {
        *r = before;
    }
    r->printer = NULL;
    return p;
}

/* Nothing is made but what the function of a custom type may look at. */
static int make_vector(void *context, struct wb_rma_block *block, const void *data, uint64_t bytes,
                       uint32_t elem_size, wb_rma_vector *out)
{
    struct wb_printer *p = context;
    void *memory = (void *)(uintptr_t)data;
    (void)block;
    if (p->reader.printer == NULL && data != NULL) { /* in earnest, and packed bytes lie anywhere */
        memory = wb_arena_alloc(p->reader.arena, (size_t)bytes);
        if (memory == NULL) {
            return WB_ERR_NO_MEMORY;
        }
        memcpy(memory, data, (size_t)bytes);
    }
    p->found.data = data;
    p->found.bytes = bytes;
    p->found.elem_size = elem_size;
    *out = (wb_rma_vector){
        .data = memory, .count = (size_t)(bytes / elem_size), .elem_size = elem_size};
    return WB_OK;
}

/* Bytes behind the last field. */
static void print_unknown(struct wb_printer *p)
{
    struct wb_reader *r = &p->reader;
    while (r->status == WB_OK && r->at != r->end) {
        size_t at = (size_t)(r->at - r->begin);
        uint32_t id, len;
        wbi_pass_one_added(r, &id, &len);
        if (!wbi_print_failed(p, at, NULL)) {
            struct wbi_text text = wbi_print_text(p);
            wbi_text_add(&text, "added field of id %08x that is not known here, %u bytes", id, len);
            wbi_print_line(p, at, NULL, text.text);
        }
    }
}

static size_t fewest_bytes(const struct wb_field *fields)
{
    size_t bytes = 0;
    for (const struct wb_field *f = fields; f->kind != NULL; f++) {
        size_t count = strcmp(f->kind, "FIXED") == 0 ? (size_t)f->count : 1;
        bytes += strcmp(f->kind, "ADDED") == 0 ? 0 : count * f->of->wire_min;
    }
    return bytes;
}

/* Walks the archive of p->reader, to its end or to what is refused. */
static void walk_archive(struct wb_printer *p, const struct wb_field *fields)
{
    struct wb_reader *r = &p->reader;
    struct wb_in in;
    r->make_vector = make_vector;
    r->context = p;
    r->arena = &p->arena;
    r->printer = p;
    if ((uintptr_t)r->begin % WB_ARCHIVE_ALIGN != 0) {
        wb_reader_fail(r, WB_ERR_INVALID, "the archive does not begin at a multiple of 8");
    } else if (wbi_reader_open(r, fewest_bytes(fields), &in)) {
        wbi_reader_close(r, walk_fields(p, in, fields));
        print_unknown(p);
        wb_reader_finish(r);
    }
    wb_arena_free(&p->arena);
}

int wb_archive_print(FILE *out, const struct wb_field *fields, const void *archive, size_t bytes,
                     const struct wb_landing *landings, uint32_t landing_count)
{
    struct wb_printer p = {.out = out};
    wb_reader_start(&p.reader, archive, bytes);
    struct wb_reader *r = &p.reader;
    r->landings = landings;
    r->landing_count = landing_count;
    walk_archive(&p, fields);
    if (p.unsaid > 0) {
        fprintf(out, "%8s  ... %llu lines more\n", "", (unsigned long long)p.unsaid);
    }
    if (!wbi_print_failed(&p, (size_t)(r->at - r->begin), NULL)) {
        fprintf(out, "%8zu  end; %u chunks\n", bytes, landing_count);
    }
    return r->status != WB_OK ? r->status : ferror(out) != 0 ? WB_ERR_SYSTEM : WB_OK;
}

int wb_reader_find_fault(const struct wb_reader *failed, const struct wb_field *fields, char *text,
                         size_t size)
{
    struct wbi_text fault = {0};
    struct wb_printer p = {.fault = &fault};
    wb_reader_start(&p.reader, failed->begin, (size_t)(failed->end - failed->begin));
    struct wb_reader *r = &p.reader;
    r->landings = failed->landings;
    r->landing_count = failed->landing_count;
    r->depth_limit = failed->depth_limit;
    if (failed->status == WB_ERR_MALFORMED) {
        walk_archive(&p, fields);
        wbi_print_failed(&p, (size_t)(r->at - r->begin), NULL);
    }
    bool same = failed->status == r->status;
    return snprintf(text, size, "%s",
                    same && p.failed       ? fault.text
                    : failed->what != NULL ? failed->what
                                           : "");
}

int wbi_find_vectors(const struct wb_reader *archive, const struct wb_field *fields, uint32_t most,
                     struct wbi_vector_at *found, uint32_t *count)
{
    struct wb_printer p = {.reader = *archive, .vectors = found, .vectors_most = most};
    bool described = true;
    for (const struct wb_field *f = fields; f->kind != NULL; f++) {
        described &= f->of != NULL;
    }
    if (described && most > 0) {
        walk_archive(&p, fields);
    }
    *count = p.vectors_found;
    return p.reader.status == WB_ERR_NO_MEMORY ? WB_ERR_NO_MEMORY : WB_OK;
}
