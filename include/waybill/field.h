/*
 * Fields: one line per kind for each of the passes, from which WB_STRUCT and WB_ACTION make their
 * functions. A field is F(kind, type, name, ...):
 *
 *   F(VALUE, i8|i16|i32|i64|u8|u16|u32|u64|f32|f64, name)   member  wb_<type> name
 *   F(STRING, wb_str, name)         member  wb_str name          borrowed, a view when received
 *   F(BYTES, wb_bytes, name)        member  wb_bytes name        borrowed, a view when received
 *   F(RMA, wb_rma_vector, name)     member  wb_rma_vector name   owned when received
 *   F(OBJECT, handle, name)         member  handle name          owned when received; handle is the
 *                                           name that WB_RMA_OBJECT_OF declared
 *   F(BUFFER, wb_buffer, name)      member  wb_buffer name       owned when received as a chunk, a
 *                                           view otherwise: wb_buffer_keep makes it one's own
 *   F(TYPE, T, name)                member  T name               any type of <waybill/type.h> and
 *                                           <waybill/container.h>, or wb_bool
 *   F(FIXED, T, name, n)            member  T name[n]            n of such a type
 *   F(ADDED, T, name, default)      member  T name               of actions only, and behind all
 *                                           others: a field that a later program has. It is no part
 *                                           of the signature: a peer that does not know it
 *                                           passes over it, and from there it is `default`
 */
#ifndef WAYBILL_FIELD_H
#define WAYBILL_FIELD_H

#include <waybill/keep.h>
#include <waybill/type.h>

#define WBI_MEMBER(kind, type, ...) WBI_MEMBER_##kind(type, __VA_ARGS__)
#define WBI_MEMBER_VALUE(type, name) wb_##type name;
#define WBI_MEMBER_STRING(type, name) type name;
#define WBI_MEMBER_BYTES(type, name) type name;
#define WBI_MEMBER_RMA(type, name) type name;
#define WBI_MEMBER_OBJECT(type, name) type name;
#define WBI_MEMBER_BUFFER(type, name) type name;
#define WBI_MEMBER_TYPE(type, name) type name;
#define WBI_MEMBER_FIXED(type, name, n) type name[n];
#define WBI_MEMBER_ADDED(type, name, ...) type name;

/* The fewest bytes. */
#define WBI_MIN(kind, type, ...) WBI_MIN_##kind(type, __VA_ARGS__)
#define WBI_MIN_VALUE(type, name) +(int)wb_##type##_wire_min
#define WBI_MIN_STRING(type, name) +1
#define WBI_MIN_BYTES(type, name) +1
#define WBI_MIN_RMA(type, name) +2
#define WBI_MIN_OBJECT(type, name) +2
#define WBI_MIN_BUFFER(type, name) +1
#define WBI_MIN_TYPE(type, name) +(int)type##_wire_min
#define WBI_MIN_FIXED(type, name, n) +(int)type##_wire_min *(n)
#define WBI_MIN_ADDED(type, name, ...)

#define WBI_SIZE(kind, type, ...) WBI_SIZE_##kind(type, __VA_ARGS__)
#define WBI_SIZE_VALUE(type, name) at += sizeof v->name;
#define WBI_SIZE_STRING(type, name) at = wb_str_wire_size(s, at, &v->name);
#define WBI_SIZE_BYTES(type, name) at = wb_bytes_wire_size(s, at, &v->name);
#define WBI_SIZE_RMA(type, name) at = wb_wire_size_rma(s, at, &v->name);
#define WBI_SIZE_OBJECT(type, name) at = wb_wire_size_rma(s, at, &v->name.vector);
#define WBI_SIZE_BUFFER(type, name) at = wb_wire_size_buffer(s, at, &v->name);
#define WBI_SIZE_TYPE(type, name) at = type##_wire_size(s, at, &v->name);
#define WBI_SIZE_FIXED(type, name, n)                                                              \
    for (size_t i = 0; i < (n); i++) {                                                             \
        at = type##_wire_size(s, at, &v->name[i]);                                                 \
    }
#define WBI_SIZE_ADDED(type, name, ...)                                                            \
    at = type##_wire_size(s, wbi_sum(at, WB_ADDED_HEAD), &v->name);

#define WBI_PUT(kind, type, ...) WBI_PUT_##kind(type, __VA_ARGS__)
#define WBI_PUT_VALUE(type, name) o = wb_##type##_wire_put(w, o, &v->name);
#define WBI_PUT_STRING(type, name) o = wb_str_wire_put(w, o, &v->name);
#define WBI_PUT_BYTES(type, name) o = wb_bytes_wire_put(w, o, &v->name);
#define WBI_PUT_RMA(type, name) o = wb_wire_put_rma(w, o, &v->name);
#define WBI_PUT_OBJECT(type, name) o = wb_wire_put_object(w, o, &v->name.vector, type##_bytes);
#define WBI_PUT_BUFFER(type, name) o = wb_wire_put_buffer(w, o, &v->name);
#define WBI_PUT_TYPE(type, name) o = type##_wire_put(w, o, &v->name);
#define WBI_PUT_FIXED(type, name, n)                                                               \
    for (size_t i = 0; i < (n); i++) {                                                             \
        o = type##_wire_put(w, o, &v->name[i]);                                                    \
    }
#define WBI_PUT_ADDED(type, name, ...)                                                             \
    o = wb_added_put_begin(w, o, wbi_added_id(#type, #name), type##_wire_min, &added);             \
    if (w->status == WB_OK) {                                                                      \
        o = wb_added_put_end(w, type##_wire_put(w, o, &v->name), &added);                          \
    }

#define WBI_GET(kind, type, ...) WBI_GET_##kind(type, __VA_ARGS__)
#define WBI_GET_VALUE(type, name) in = wb_##type##_wire_get(r, in, &v->name);
#define WBI_GET_STRING(type, name) in = wb_str_wire_get(r, in, &v->name);
#define WBI_GET_BYTES(type, name) in = wb_bytes_wire_get(r, in, &v->name);
#define WBI_GET_RMA(type, name) in = wb_wire_get_rma(r, in, &v->name);
#define WBI_GET_OBJECT(type, name) in = wb_wire_get_object(r, in, &v->name.vector, type##_bytes);
#define WBI_GET_BUFFER(type, name) in = wb_wire_get_buffer(r, in, &v->name);
#define WBI_GET_TYPE(type, name) in = type##_wire_get(r, in, &v->name);
#define WBI_GET_FIXED(type, name, n)                                                               \
    for (size_t i = 0; i < (n); i++) {                                                             \
        in = type##_wire_get(r, in, &v->name[i]);                                                  \
    }
#define WBI_GET_ADDED(type, name, ...)                                                             \
    if (wb_added_get_begin(r, &in, wbi_added_id(#type, #name), type##_wire_min, &added)) {         \
        in = wb_added_get_end(r, type##_wire_get(r, in, &v->name), &added);                        \
    } else {                                                                                       \
        v->name = __VA_ARGS__;                                                                     \
    }

#define WBI_DROP(kind, type, ...) WBI_DROP_##kind(type, __VA_ARGS__)
#define WBI_DROP_VALUE(type, name)
#define WBI_DROP_STRING(type, name) wb_str_drop(&v->name);
#define WBI_DROP_BYTES(type, name) wb_bytes_drop(&v->name);
#define WBI_DROP_RMA(type, name) wb_rma_vector_drop(&v->name);
#define WBI_DROP_OBJECT(type, name) type##_drop(&v->name);
#define WBI_DROP_BUFFER(type, name) wb_buffer_drop(&v->name);
#define WBI_DROP_TYPE(type, name) type##_drop(&v->name);
#define WBI_DROP_FIXED(type, name, n)                                                              \
    for (size_t i = 0; i < (n); i++) {                                                             \
        type##_drop(&v->name[i]);                                                                  \
    }
#define WBI_DROP_ADDED(type, name, ...) type##_drop(&v->name);

/* Whether what is received may point into the parcel. */
#define WBI_VIEWS(kind, type, ...) WBI_VIEWS_##kind(type)
#define WBI_VIEWS_VALUE(type)
#define WBI_VIEWS_STRING(type) || 1
#define WBI_VIEWS_BYTES(type) || 1
#define WBI_VIEWS_RMA(type)
#define WBI_VIEWS_OBJECT(type)
#define WBI_VIEWS_BUFFER(type) || 1
#define WBI_VIEWS_TYPE(type) || type##_views
#define WBI_VIEWS_FIXED(type) || type##_views
#define WBI_VIEWS_ADDED(type) || type##_views

/* Whether it owns something. */
#define WBI_OWNS(kind, type, ...) WBI_OWNS_##kind(type)
#define WBI_OWNS_VALUE(type)
#define WBI_OWNS_STRING(type)
#define WBI_OWNS_BYTES(type)
#define WBI_OWNS_RMA(type) || 1
#define WBI_OWNS_OBJECT(type) || 1
#define WBI_OWNS_BUFFER(type) || 1
#define WBI_OWNS_TYPE(type) || type##_owns
#define WBI_OWNS_FIXED(type) || type##_owns
#define WBI_OWNS_ADDED(type) || type##_owns

/* Whether its bytes in the archive may be more or fewer than T_wire_min. */
#define WBI_VARIES(kind, type, ...) WBI_VARIES_##kind(type)
#define WBI_VARIES_VALUE(type)
#define WBI_VARIES_STRING(type) || 1
#define WBI_VARIES_BYTES(type) || 1
#define WBI_VARIES_RMA(type) || 1
#define WBI_VARIES_OBJECT(type) || 1
#define WBI_VARIES_BUFFER(type) || 1
#define WBI_VARIES_TYPE(type) || !type##_fixed
#define WBI_VARIES_FIXED(type) || !type##_fixed
#define WBI_VARIES_ADDED(type) || 1

/* As the signature sees it. */
#define WBI_FIELD(kind, type, ...) WBI_FIELD_##kind(type, __VA_ARGS__)
#define WBI_FIELD_OF(kind, type, name, of, count) {kind, type, name, of, count},
#define WBI_FIELD_VALUE(type, name) WBI_FIELD_OF("VALUE", #type, #name, &wb_##type##_type, 1)
#define WBI_FIELD_STRING(type, name) WBI_FIELD_OF("STRING", #type, #name, &wb_str_type, 1)
#define WBI_FIELD_BYTES(type, name) WBI_FIELD_OF("BYTES", #type, #name, &wb_bytes_type, 1)
#define WBI_FIELD_RMA(type, name) WBI_FIELD_OF("RMA", #type, #name, &wb_rma_vector_type, 1)
#define WBI_FIELD_OBJECT(type, name)                                                               \
    WBI_FIELD_OF("OBJECT", #type, #name, &wb_object_type, type##_bytes)
#define WBI_FIELD_BUFFER(type, name) WBI_FIELD_OF("BUFFER", #type, #name, &wb_buffer_type, 1)
#define WBI_FIELD_TYPE(type, name) WBI_FIELD_OF("TYPE", #type, #name, &type##_type, 1)
#define WBI_FIELD_FIXED(type, name, n) WBI_FIELD_OF("FIXED", #type, #name, &type##_type, n)
#define WBI_FIELD_ADDED(type, name, ...) WBI_FIELD_OF("ADDED", #type, #name, &type##_type, 1)
#define WBI_FIELD_END                                                                              \
    {                                                                                              \
        NULL, NULL, NULL, NULL, 0                                                                  \
    }

#define WBI_COUNT_ADDED(kind, type, ...) WBI_COUNT_ADDED_##kind
#define WBI_COUNT_ADDED_VALUE
#define WBI_COUNT_ADDED_STRING
#define WBI_COUNT_ADDED_BYTES
#define WBI_COUNT_ADDED_RMA
#define WBI_COUNT_ADDED_OBJECT
#define WBI_COUNT_ADDED_BUFFER
#define WBI_COUNT_ADDED_TYPE
#define WBI_COUNT_ADDED_FIXED
#define WBI_COUNT_ADDED_ADDED +1

/* What stands before an added field, so that two programs which add another one each find out:
 * FNV-1a of its type and name. */
static inline uint32_t wbi_added_id(const char *type, const char *name)
{
    uint32_t hash = 0x811c9dc5;
    for (; *type != '\0'; type++) {
        hash = (hash ^ (uint8_t)*type) * 0x01000193;
    }
    hash *= 0x01000193;
    for (; *name != '\0'; name++) {
        hash = (hash ^ (uint8_t)*name) * 0x01000193;
    }
    return hash;
}

/* The passes over a struct that has these fields. */
#define WBI_PASSES(T, FIELDS)                                                                      \
    enum { T##_wire_min = 0 FIELDS(WBI_MIN), T##_wire_raw = 0 };                                   \
    enum { T##_views = 0 FIELDS(WBI_VIEWS), T##_owns = 0 FIELDS(WBI_OWNS) };                       \
    enum { T##_fixed = !(0 FIELDS(WBI_VARIES)) };                                                  \
    WBI_UNUSED static const struct wb_field T##_fields[] = {FIELDS(WBI_FIELD) WBI_FIELD_END};      \
    WBI_GENERATED size_t T##_wire_size(struct wb_sizer *s, size_t at, const struct T *v)           \
    {                                                                                              \
        (void)s;                                                                                   \
        (void)v;                                                                                   \
        FIELDS(WBI_SIZE)                                                                           \
        return at;                                                                                 \
    }                                                                                              \
    WBI_GENERATED struct wb_out T##_wire_put(struct wb_writer *w, struct wb_out o,                 \
                                             const struct T *v)                                    \
    {                                                                                              \
        struct wbi_added added;                                                                    \
        (void)w;                                                                                   \
        (void)v;                                                                                   \
        (void)added;                                                                               \
        FIELDS(WBI_PUT)                                                                            \
        return o;                                                                                  \
    }                                                                                              \
    WBI_GENERATED struct wb_in T##_wire_get(struct wb_reader *r, struct wb_in in, struct T *v)     \
    {                                                                                              \
        struct wbi_added added;                                                                    \
        (void)r;                                                                                   \
        (void)v;                                                                                   \
        (void)added;                                                                               \
        FIELDS(WBI_GET)                                                                            \
        return in;                                                                                 \
    }

/* A whole archive of one value. */
#define WBI_ARCHIVE(T)                                                                             \
    WBI_GENERATED void T##_size(struct wb_sizer *s, const struct T *v)                             \
    {                                                                                              \
        s->bytes = T##_wire_size(s, s->bytes, v);                                                  \
        wb_sizer_finish(s);                                                                        \
    }                                                                                              \
    WBI_GENERATED void T##_put(struct wb_writer *w, const struct T *v)                             \
    {                                                                                              \
        struct wb_out o;                                                                           \
        if (wbi_writer_open(w, T##_wire_min, &o)) {                                                \
            wbi_writer_close(w, T##_wire_put(w, o, v));                                            \
        }                                                                                          \
    }                                                                                              \
    WBI_GENERATED int T##_get_values(struct wb_reader *r, struct T *v)                             \
    {                                                                                              \
        struct wb_in in;                                                                           \
        if (!wbi_reader_open(r, T##_wire_min, &in)) {                                              \
            *v = (struct T){0};                                                                    \
            return r->status;                                                                      \
        }                                                                                          \
        wbi_reader_close(r, T##_wire_get(r, in, v));                                               \
        return r->status;                                                                          \
    }

/* A whole archive at once, where it is short and always as long (T_packed): false where a value
 * cannot be sent, or is none; T_put and T_get say more. *v is then void. */
enum { WB_PACKED_MOST = 128 };
#define WBI_PACK(T)                                                                                \
    enum { T##_packed = T##_fixed && (int)T##_wire_min <= (int)WB_PACKED_MOST };                   \
    WBI_GENERATED bool T##_pack(uint8_t *archive, const struct T *v)                               \
    {                                                                                              \
        struct wb_writer w = {.status = WB_OK};                                                    \
        struct wb_out o = {.at = archive};                                                         \
        o = T##_wire_put(&w, o, v);                                                                \
        return w.status == WB_OK;                                                                  \
    }                                                                                              \
    WBI_GENERATED bool T##_unpack(const uint8_t *archive, size_t bytes, struct T *v)               \
    {                                                                                              \
        struct wb_reader r = {.status = WB_OK};                                                    \
        struct wb_in in = {.at = archive};                                                         \
        if (bytes != T##_wire_min) {                                                               \
            return false;                                                                          \
        }                                                                                          \
        in = T##_wire_get(&r, in, v);                                                              \
        return r.status == WB_OK;                                                                  \
    }

/* <waybill/keep.h> says what it does. */
#define WBI_KEEP(T)                                                                                \
    WBI_GENERATED int T##_keep(const struct T *v, struct T *k, struct wb_arena *a)                 \
    {                                                                                              \
        struct wb_sizer sizer;                                                                     \
        struct wb_writer writer;                                                                   \
        struct wb_reader reader;                                                                   \
        *k = (struct T){0};                                                                        \
        wb_keep_size(&sizer);                                                                      \
        T##_size(&sizer, v);                                                                       \
        int status = wb_keep_begin(a, &sizer, &writer);                                            \
        if (status != WB_OK) {                                                                     \
            return status;                                                                         \
        }                                                                                          \
        T##_put(&writer, v);                                                                       \
        status = wb_keep_read(a, &writer, &reader);                                                \
        if (status == WB_OK) {                                                                     \
            T##_get_values(&reader, k);                                                            \
            status = wb_reader_finish(&reader);                                                    \
        }                                                                                          \
        if (status != WB_OK) {                                                                     \
            T##_drop(k);                                                                           \
            *k = (struct T){0};                                                                    \
        }                                                                                          \
        return status;                                                                             \
    }

/* Declares the type T, a struct of fields; at least one. */
#define WB_STRUCT(T, FIELDS)                                                                       \
    typedef struct T {                                                                             \
        FIELDS(WBI_MEMBER)                                                                         \
    } T;                                                                                           \
    _Static_assert((0 FIELDS(WBI_COUNT_ADDED)) == 0, "added fields are an action's");              \
    WBI_PASSES(T, FIELDS)                                                                          \
    WBI_UNUSED static const struct wb_type T##_type = {.kind = WB_TYPE_STRUCT,                     \
                                                       .name = #T,                                 \
                                                       .bytes = sizeof(T),                         \
                                                       .fields = T##_fields,                       \
                                                       .wire_min = T##_wire_min};                  \
    WBI_GENERATED void T##_drop(T *v)                                                              \
    {                                                                                              \
        (void)v;                                                                                   \
        FIELDS(WBI_DROP)                                                                           \
    }                                                                                              \
    WBI_ARCHIVE(T)                                                                                 \
    WBI_GENERATED int T##_get(struct wb_reader *r, T *v)                                           \
    {                                                                                              \
        T##_get_values(r, v);                                                                      \
        int status = wb_reader_finish(r);                                                          \
        if (status != WB_OK) {                                                                     \
            T##_drop(v);                                                                           \
            *v = (T){0};                                                                           \
        }                                                                                          \
        return status;                                                                             \
    }                                                                                              \
    WBI_KEEP(T)

#endif
