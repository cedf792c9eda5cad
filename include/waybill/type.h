/*
 * Types that travel. Each type T is a family of names, which the macros of this header and of
 * <waybill/container.h> generate, all static:
 *
 *   T_wire_min    the fewest bytes that a value takes in the archive, 1 or more
 *   T_fixed       1: it always takes just so many
 *   T_wire_raw    1: a value is its own bytes, unchecked: an array is copied or viewed whole
 *   T_views       1: a received value may point into its parcel
 *   T_owns        1: a received value has something to drop
 *   T_type        its description, which signatures are made of
 *   T_wire_size(sizer, at, value), T_wire_put(writer, out, value), T_wire_get(reader, in, value)
 *                 the passes: each returns the place behind the value
 *   T_drop(value) gives back what a received value owns, and empties it
 *
 * Built in: wb_i8 to wb_u64, wb_f32, wb_f64, wb_bool, wb_str, wb_bytes, wb_rma_vector, wb_buffer.
 * Structs come from one list of fields, as actions do (<waybill/action.h> has the kinds):
 *
 *   #define POINT(F) F(VALUE, f64, x) F(VALUE, f64, y)
 *   WB_STRUCT(point, POINT)
 *
 * makes `typedef struct point point`, its family, and point_size(sizer, value), point_put(writer,
 * value), point_get(reader, value): a whole archive of one value. The last returns WB_OK or
 * WB_ERR_MALFORMED, WB_AGAIN or WB_ERR_NO_MEMORY, and then *value is zero.
 */
#ifndef WAYBILL_TYPE_H
#define WAYBILL_TYPE_H

#include <waybill/serial.h>

enum wb_type_kind {
    WB_TYPE_SCALAR,
    WB_TYPE_BOOL,
    WB_TYPE_STR,
    WB_TYPE_BYTES,
    WB_TYPE_RMA,
    WB_TYPE_OBJECT,
    WB_TYPE_BUFFER,
    WB_TYPE_STRUCT,  /* fields */
    WB_TYPE_BITWISE, /* bytes; fields where a list exists */
    WB_TYPE_ENUM,    /* fields: name and value of each */
    WB_TYPE_ARRAY,   /* elem */
    WB_TYPE_OPTION,  /* elem */
    WB_TYPE_UNION,   /* fields: one for each case */
    WB_TYPE_CUSTOM   /* version */
};

/* A type as signatures and <waybill/print.h> see it; static storage. */
struct wb_type {
    enum wb_type_kind kind;
    const char *name;
    size_t bytes;                  /* of a value in memory */
    const struct wb_field *fields; /* ends with kind == NULL; or NULL */
    const struct wb_type *elem;
    uint32_t version;
    size_t wire_min; /* T_wire_min */
    size_t align;    /* ARRAY of a raw type: of its elements; 0: an array of another type */
    struct wb_in (*walk)(struct wb_reader *r, struct wb_in in); /* CUSTOM: reads one, drops it */
};

/* One field as the signature sees it. A list ends with kind == NULL. */
struct wb_field {
    const char *kind, *type, *name;
    const struct wb_type *of; /* NULL in lists of enum values */
    int64_t count;            /* FIXED: elements; OBJECT: bytes; of an enum: the value */
};

extern WB_API const struct wb_type wb_i8_type, wb_i16_type, wb_i32_type, wb_i64_type, wb_u8_type,
    wb_u16_type, wb_u32_type, wb_u64_type, wb_f32_type, wb_f64_type, wb_bool_type, wb_str_type,
    wb_bytes_type, wb_rma_vector_type, wb_buffer_type, wb_object_type;

/* ---- built-in families ---- */

#define WBI_SCALAR_FAMILY(T)                                                                       \
    enum { T##_wire_min = sizeof(T), T##_wire_raw = 1, T##_views = 0, T##_owns = 0 };              \
    enum { T##_fixed = 1 };                                                                        \
    static inline size_t T##_wire_size(struct wb_sizer *s, size_t at, const T *v)                  \
    {                                                                                              \
        (void)s;                                                                                   \
        (void)v;                                                                                   \
        return at + sizeof(T);                                                                     \
    }                                                                                              \
    static inline struct wb_out T##_wire_put(struct wb_writer *w, struct wb_out o, const T *v)     \
    {                                                                                              \
        (void)w;                                                                                   \
        memcpy(o.at, v, sizeof(T));                                                                \
        o.at += sizeof(T);                                                                         \
        return o;                                                                                  \
    }                                                                                              \
    static inline struct wb_in T##_wire_get(struct wb_reader *r, struct wb_in in, T *v)            \
    {                                                                                              \
        (void)r;                                                                                   \
        memcpy(v, in.at, sizeof(T));                                                               \
        in.at += sizeof(T);                                                                        \
        return in;                                                                                 \
    }                                                                                              \
    static inline void T##_drop(T *v)                                                              \
    {                                                                                              \
        (void)v;                                                                                   \
    }

WBI_SCALAR_FAMILY(wb_i8)
WBI_SCALAR_FAMILY(wb_i16)
WBI_SCALAR_FAMILY(wb_i32)
WBI_SCALAR_FAMILY(wb_i64)
WBI_SCALAR_FAMILY(wb_u8)
WBI_SCALAR_FAMILY(wb_u16)
WBI_SCALAR_FAMILY(wb_u32)
WBI_SCALAR_FAMILY(wb_u64)
WBI_SCALAR_FAMILY(wb_f32)
WBI_SCALAR_FAMILY(wb_f64)

enum { wb_bool_wire_min = 1, wb_bool_wire_raw = 0, wb_bool_views = 0, wb_bool_owns = 0 };
enum { wb_bool_fixed = 1 };
static inline size_t wb_bool_wire_size(struct wb_sizer *s, size_t at, const wb_bool *v)
{
    (void)s;
    (void)v;
    return at + 1;
}
static inline struct wb_out wb_bool_wire_put(struct wb_writer *w, struct wb_out o, const wb_bool *v)
{
    (void)w;
    *o.at++ = *v;
    return o;
}
static inline struct wb_in wb_bool_wire_get(struct wb_reader *r, struct wb_in in, wb_bool *v)
{
    uint8_t byte = *in.at++;
    *v = byte == 1;
    if (byte > 1) {
        wb_reader_fail(r, WB_ERR_MALFORMED, "a truth value is neither 0 nor 1");
        in.spare = 0;
    }
    return in;
}
static inline void wb_bool_drop(wb_bool *v)
{
    (void)v;
}

/* Bytes and strings: what is short and stays in the archive goes without a call. */

enum { wb_bytes_wire_min = 1, wb_bytes_wire_raw = 0, wb_bytes_views = 1, wb_bytes_owns = 0 };
enum { wb_bytes_fixed = 0 };
static inline size_t wb_bytes_wire_size(struct wb_sizer *s, size_t at, const wb_bytes *v)
{
    return wb_wire_size_bytes(s, at, *v);
}

static inline struct wb_out wb_bytes_wire_put(struct wb_writer *w, struct wb_out o,
                                              const wb_bytes *v)
{
    size_t len = v->len;
    if (len >= WB_LEN_U16 || len >= w->thresholds.pointer || len > o.spare || v->data == NULL) {
        return wb_wire_put_bytes(w, o, *v);
    }
    *o.at = (uint8_t)len;
    wbi_copy_short(o.at + 1, v->data, len);
    o.at += 1 + len;
    o.spare -= len;
    return o;
}
static inline struct wb_in wb_bytes_wire_get(struct wb_reader *r, struct wb_in in, wb_bytes *v)
{
    size_t len = *in.at;
    if (len >= WB_LEN_U16 || len > in.spare) {
        return wb_wire_get_bytes(r, in, v);
    }
    v->data = in.at + 1;
    v->len = len;
    in.at += 1 + len;
    in.spare -= len;
    return in;
}
static inline void wb_bytes_drop(wb_bytes *v)
{
    *v = (wb_bytes){0};
}

enum { wb_str_wire_min = 1, wb_str_wire_raw = 0, wb_str_views = 1, wb_str_owns = 0 };
enum { wb_str_fixed = 0 };
static inline size_t wb_str_wire_size(struct wb_sizer *s, size_t at, const wb_str *v)
{
    return wb_wire_size_bytes(s, at, (wb_bytes){.data = v->data, .len = v->len});
}
static inline struct wb_out wb_str_wire_put(struct wb_writer *w, struct wb_out o, const wb_str *v)
{
    wb_bytes bytes = {.data = v->data, .len = v->len};
    return wb_bytes_wire_put(w, o, &bytes);
}
static inline struct wb_in wb_str_wire_get(struct wb_reader *r, struct wb_in in, wb_str *v)
{
    wb_bytes bytes;
    in = wb_bytes_wire_get(r, in, &bytes);
    *v = (wb_str){.data = (const char *)bytes.data, .len = bytes.len};
    return in;
}
static inline void wb_str_drop(wb_str *v)
{
    *v = (wb_str){0};
}

enum { wb_rma_vector_wire_min = 2, wb_rma_vector_wire_raw = 0, wb_rma_vector_fixed = 0 };
enum { wb_rma_vector_views = 0, wb_rma_vector_owns = 1 };
static inline size_t wb_rma_vector_wire_size(struct wb_sizer *s, size_t at, const wb_rma_vector *v)
{
    return wb_wire_size_rma(s, at, v);
}
static inline struct wb_out wb_rma_vector_wire_put(struct wb_writer *w, struct wb_out o,
                                                   const wb_rma_vector *v)
{
    return wb_wire_put_rma(w, o, v);
}
static inline struct wb_in wb_rma_vector_wire_get(struct wb_reader *r, struct wb_in in,
                                                  wb_rma_vector *v)
{
    return wb_wire_get_rma(r, in, v);
}

enum { wb_buffer_wire_min = 1, wb_buffer_wire_raw = 0, wb_buffer_views = 1, wb_buffer_owns = 1 };
enum { wb_buffer_fixed = 0 };
static inline size_t wb_buffer_wire_size(struct wb_sizer *s, size_t at, const wb_buffer *v)
{
    return wb_wire_size_buffer(s, at, v);
}
static inline struct wb_out wb_buffer_wire_put(struct wb_writer *w, struct wb_out o,
                                               const wb_buffer *v)
{
    return wb_wire_put_buffer(w, o, v);
}
static inline struct wb_in wb_buffer_wire_get(struct wb_reader *r, struct wb_in in, wb_buffer *v)
{
    return wb_wire_get_buffer(r, in, v);
}

#endif
