/*
 * Types made of other types (<waybill/type.h> says what a type T is): counted arrays, options,
 * unions, maps, enums, bitwise types and types with a function of their own. Received values follow
 * their parts: what is a view stays one, what is owned is dropped with the whole. Elements of
 * arrays lie in the arena of the call, but those of raw types in the archive or their landing.
 */
#ifndef WAYBILL_CONTAINER_H
#define WAYBILL_CONTAINER_H

#include <waybill/field.h>

/* Promises `bytes` bytes more to what follows. */
static inline bool wbi_put_promise(struct wb_writer *w, struct wb_out *o, size_t bytes)
{
    if (o->spare < bytes) {
        w->status = WB_ERR_INVALID;
        return false;
    }
    o->spare -= bytes;
    return true;
}

static inline bool wbi_get_promise(struct wb_reader *r, struct wb_in *in, size_t bytes)
{
    if (in->spare < bytes) {
        wb_reader_fail(r, WB_ERR_MALFORMED, "the archive ends inside a value");
        in->spare = 0;
        return false;
    }
    in->spare -= bytes;
    return true;
}

/* A byte that is at most `most`: of an option or a union. */
static inline uint8_t wbi_get_tag(struct wb_reader *r, struct wb_in *in, unsigned most)
{
    uint8_t tag = *in->at++;
    if (tag <= most) {
        return tag;
    }
    wb_reader_fail(r, WB_ERR_MALFORMED, "a tag stands for nothing that its type can be");
    in->spare = 0;
    return 0;
}

/* Strings and byte ranges: in an array their lengths stand before their bytes. */
#define WBI_IS_TEXT(T) _Generic((T *)NULL, wb_str * : 1, wb_bytes * : 1, default : 0)

/*
 * Declares the type NAME, `len` elements of type T at `data`, borrowed: WB_ARRAY_OF(point, path).
 * Elements of a raw type (numbers, bitwise types) become a pointer chunk from the threshold on, and
 * are viewed where they arrive.
 */
#define WB_ARRAY_OF(T, NAME)                                                                       \
    typedef struct NAME {                                                                          \
        const T *data;                                                                             \
        size_t len;                                                                                \
    } NAME;                                                                                        \
    _Static_assert(!T##_wire_raw || _Alignof(T) <= WB_ARCHIVE_ALIGN,                               \
                   "elements are aligned to 8 bytes at most");                                     \
    enum { NAME##_wire_min = 1, NAME##_wire_raw = 0, NAME##_views = 1, NAME##_owns = T##_owns };   \
    enum { NAME##_fixed = 0 };                                                                     \
    WBI_UNUSED static const struct wb_type NAME##_type = {.kind = WB_TYPE_ARRAY,                   \
                                                          .name = #NAME,                           \
                                                          .bytes = sizeof(NAME),                   \
                                                          .elem = &T##_type,                       \
                                                          .wire_min = 1,                           \
                                                          .align =                                 \
                                                              T##_wire_raw ? _Alignof(T) : 0};     \
    WBI_GENERATED size_t NAME##_wire_size(struct wb_sizer *s, size_t at, const NAME *v)            \
    {                                                                                              \
        if (T##_wire_raw) {                                                                        \
            return wb_wire_size_array(s, at, v->data, v->len, sizeof(T), _Alignof(T));             \
        }                                                                                          \
        if (WBI_IS_TEXT(T)) {                                                                      \
            return wb_wire_size_texts(s, at, v->data, v->len);                                     \
        }                                                                                          \
        at = wbi_sum(at, wb_len_size(v->len));                                                     \
        const size_t count = v->data != NULL ? v->len : 0; /* to put what is not there fails */    \
        for (size_t i = 0; i < count; i++) {                                                       \
            at = T##_wire_size(s, at, &v->data[i]);                                                \
        }                                                                                          \
        return at;                                                                                 \
    }                                                                                              \
    WBI_GENERATED struct wb_out NAME##_wire_put(struct wb_writer *w, struct wb_out o,              \
                                                const NAME *v)                                     \
    {                                                                                              \
        if (T##_wire_raw) {                                                                        \
            return wb_wire_put_array(w, o, v->data, v->len, sizeof(T), _Alignof(T));               \
        }                                                                                          \
        if (WBI_IS_TEXT(T)) {                                                                      \
            return wb_wire_put_texts(w, o, v->data, v->len);                                       \
        }                                                                                          \
        o = wb_wire_put_count(w, o, v->data, v->len, T##_wire_min);                                \
        for (size_t i = 0; w->status == WB_OK && i < v->len; i++) {                                \
            o = T##_wire_put(w, o, &v->data[i]);                                                   \
        }                                                                                          \
        return o;                                                                                  \
    }                                                                                              \
    WBI_GENERATED struct wb_in NAME##_wire_get(struct wb_reader *r, struct wb_in in, NAME *v)      \
    {                                                                                              \
        if (T##_wire_raw) {                                                                        \
            const void *data;                                                                      \
            in = wb_wire_get_array(r, in, &data, &v->len, sizeof(T), _Alignof(T));                 \
            v->data = (const T *)data;                                                             \
            return in;                                                                             \
        }                                                                                          \
        void *items;                                                                               \
        in = WBI_IS_TEXT(T) ? wb_wire_get_texts(r, in, &items, &v->len)                            \
                            : wb_wire_get_count(r, in, &items, &v->len, T##_wire_min, sizeof(T));  \
        T *elements = (T *)items;                                                                  \
        v->data = elements;                                                                        \
        for (size_t i = 0; !WBI_IS_TEXT(T) && i < v->len; i++) {                                   \
            in = T##_wire_get(r, in, &elements[i]);                                                \
        }                                                                                          \
        return in;                                                                                 \
    }                                                                                              \
    WBI_GENERATED void NAME##_drop(NAME *v)                                                        \
    {                                                                                              \
        for (size_t i = 0; NAME##_owns && i < v->len; i++) {                                       \
            T##_drop((T *)(uintptr_t)&v->data[i]);                                                 \
        }                                                                                          \
        *v = (NAME){0};                                                                            \
    }

/* Declares the type NAME: `value`, of type T, where `has`. */
#define WB_OPTION_OF(T, NAME)                                                                      \
    typedef struct NAME {                                                                          \
        bool has;                                                                                  \
        T value; /* received: zero where there is none */                                          \
    } NAME;                                                                                        \
    enum { NAME##_wire_min = 1, NAME##_wire_raw = 0, NAME##_fixed = 0, NAME##_views = T##_views }; \
    enum { NAME##_owns = T##_owns };                                                               \
    WBI_UNUSED static const struct wb_type NAME##_type = {.kind = WB_TYPE_OPTION,                  \
                                                          .name = #NAME,                           \
                                                          .bytes = sizeof(NAME),                   \
                                                          .elem = &T##_type,                       \
                                                          .wire_min = 1};                          \
    WBI_GENERATED size_t NAME##_wire_size(struct wb_sizer *s, size_t at, const NAME *v)            \
    {                                                                                              \
        return v->has ? T##_wire_size(s, at + 1, &v->value) : at + 1;                              \
    }                                                                                              \
    WBI_GENERATED struct wb_out NAME##_wire_put(struct wb_writer *w, struct wb_out o,              \
                                                const NAME *v)                                     \
    {                                                                                              \
        *o.at++ = v->has;                                                                          \
        return v->has && wbi_put_promise(w, &o, T##_wire_min) ? T##_wire_put(w, o, &v->value) : o; \
    }                                                                                              \
    WBI_GENERATED struct wb_in NAME##_wire_get(struct wb_reader *r, struct wb_in in, NAME *v)      \
    {                                                                                              \
        *v = (NAME){0};                                                                            \
        if (wbi_get_tag(r, &in, 1) == 1 && wbi_get_promise(r, &in, T##_wire_min)) {                \
            v->has = true;                                                                         \
            in = T##_wire_get(r, in, &v->value);                                                   \
        }                                                                                          \
        return in;                                                                                 \
    }                                                                                              \
    WBI_GENERATED void NAME##_drop(NAME *v)                                                        \
    {                                                                                              \
        if (v->has) {                                                                              \
            T##_drop(&v->value);                                                                   \
        }                                                                                          \
        v->has = false;                                                                            \
    }

/* Declares the types NAME_pair, a `key` of type K and a `value` of type V, and NAME, an array of
 * them in the order that the sender gives them; the receiver checks neither order nor repetition.
 */
#define WB_MAP_OF(K, V, NAME)                                                                      \
    typedef struct NAME##_pair {                                                                   \
        K key;                                                                                     \
        V value;                                                                                   \
    } NAME##_pair;                                                                                 \
    enum { NAME##_pair_wire_min = (int)K##_wire_min + (int)V##_wire_min };                         \
    enum { NAME##_pair_wire_raw = 0, NAME##_pair_views = K##_views || V##_views };                 \
    enum { NAME##_pair_owns = K##_owns || V##_owns };                                              \
    WBI_UNUSED static const struct wb_field NAME##_pair_fields[] = {                               \
        WBI_FIELD_TYPE(K, key) WBI_FIELD_TYPE(V, value) WBI_FIELD_END};                            \
    WBI_UNUSED static const struct wb_type NAME##_pair_type = {.kind = WB_TYPE_STRUCT,             \
                                                               .name = #NAME "_pair",              \
                                                               .bytes = sizeof(NAME##_pair),       \
                                                               .fields = NAME##_pair_fields,       \
                                                               .wire_min = NAME##_pair_wire_min};  \
    WBI_GENERATED size_t NAME##_pair_wire_size(struct wb_sizer *s, size_t at,                      \
                                               const NAME##_pair *v)                               \
    {                                                                                              \
        return V##_wire_size(s, K##_wire_size(s, at, &v->key), &v->value);                         \
    }                                                                                              \
    WBI_GENERATED struct wb_out NAME##_pair_wire_put(struct wb_writer *w, struct wb_out o,         \
                                                     const NAME##_pair *v)                         \
    {                                                                                              \
        return V##_wire_put(w, K##_wire_put(w, o, &v->key), &v->value);                            \
    }                                                                                              \
    WBI_GENERATED struct wb_in NAME##_pair_wire_get(struct wb_reader *r, struct wb_in in,          \
                                                    NAME##_pair *v)                                \
    {                                                                                              \
        return V##_wire_get(r, K##_wire_get(r, in, &v->key), &v->value);                           \
    }                                                                                              \
    WBI_GENERATED void NAME##_pair_drop(NAME##_pair *v)                                            \
    {                                                                                              \
        K##_drop(&v->key);                                                                         \
        V##_drop(&v->value);                                                                       \
    }                                                                                              \
    WB_ARRAY_OF(NAME##_pair, NAME)

/*
 * Declares the tagged union NAME of the cases C(TAG, T, name):
 *   #define SHAPE(C) C(SHAPE_ROUND, circle, round) C(SHAPE_WORDS, wb_str, words)
 *   WB_UNION(shape, SHAPE)
 * makes the tags, from 0 on, and the members v.tag, v.as.round, v.as.words. At most 255 cases.
 */
#define WBI_CASE_TAG(TAG, T, name) TAG,
#define WBI_CASE_MEMBER(TAG, T, name) T name;
#define WBI_CASE_FIELD(TAG, T, name) WBI_FIELD_OF(#TAG, #T, #name, &T##_type, 1)
#define WBI_CASE_VIEWS(TAG, T, name) || T##_views
#define WBI_CASE_OWNS(TAG, T, name) || T##_owns
#define WBI_CASE_SIZE(TAG, T, name)                                                                \
    case TAG:                                                                                      \
        return T##_wire_size(s, at + 1, &v->as.name);
#define WBI_CASE_PUT(TAG, T, name)                                                                 \
    case TAG:                                                                                      \
        return wbi_put_promise(w, &o, T##_wire_min) ? T##_wire_put(w, o, &v->as.name) : o;
#define WBI_CASE_GET(TAG, T, name)                                                                 \
    case TAG:                                                                                      \
        return wbi_get_promise(r, &in, T##_wire_min) ? T##_wire_get(r, in, &v->as.name) : in;
#define WBI_CASE_DROP(TAG, T, name)                                                                \
    case TAG:                                                                                      \
        T##_drop(&v->as.name);                                                                     \
        break;
#define WB_UNION(NAME, CASES)                                                                      \
    enum NAME##_tag{CASES(WBI_CASE_TAG) NAME##_cases};                                             \
    _Static_assert(NAME##_cases <= 255, "a tag is a byte");                                        \
    typedef struct NAME {                                                                          \
        enum NAME##_tag tag;                                                                       \
        union {                                                                                    \
            CASES(WBI_CASE_MEMBER)                                                                 \
        } as;                                                                                      \
    } NAME;                                                                                        \
    enum { NAME##_wire_min = 1, NAME##_wire_raw = 0, NAME##_fixed = 0 };                           \
    enum { NAME##_views = 0 CASES(WBI_CASE_VIEWS), NAME##_owns = 0 CASES(WBI_CASE_OWNS) };         \
    WBI_UNUSED static const struct wb_field NAME##_fields[] = {CASES(WBI_CASE_FIELD)               \
                                                                   WBI_FIELD_END};                 \
    WBI_UNUSED static const struct wb_type NAME##_type = {.kind = WB_TYPE_UNION,                   \
                                                          .name = #NAME,                           \
                                                          .bytes = sizeof(NAME),                   \
                                                          .fields = NAME##_fields,                 \
                                                          .wire_min = 1};                          \
    WBI_GENERATED size_t NAME##_wire_size(struct wb_sizer *s, size_t at, const NAME *v)            \
    {                                                                                              \
        switch ((int)v->tag) {                                                                     \
            CASES(WBI_CASE_SIZE)                                                                   \
        default:                                                                                   \
            return at + 1;                                                                         \
        }                                                                                          \
    }                                                                                              \
    WBI_GENERATED struct wb_out NAME##_wire_put(struct wb_writer *w, struct wb_out o,              \
                                                const NAME *v)                                     \
    {                                                                                              \
        *o.at++ = (uint8_t)v->tag;                                                                 \
        switch ((int)v->tag) {                                                                     \
            CASES(WBI_CASE_PUT)                                                                    \
        default:                                                                                   \
            w->status = WB_ERR_INVALID;                                                            \
            return o;                                                                              \
        }                                                                                          \
    }                                                                                              \
    WBI_GENERATED struct wb_in NAME##_wire_get(struct wb_reader *r, struct wb_in in, NAME *v)      \
    {                                                                                              \
        memset(v, 0, sizeof *v);                                                                   \
        v->tag = (enum NAME##_tag)wbi_get_tag(r, &in, NAME##_cases - 1);                           \
        switch ((int)v->tag) {                                                                     \
            CASES(WBI_CASE_GET)                                                                    \
        default:                                                                                   \
            return in;                                                                             \
        }                                                                                          \
    }                                                                                              \
    WBI_GENERATED void NAME##_drop(NAME *v)                                                        \
    {                                                                                              \
        switch ((int)v->tag) {                                                                     \
            CASES(WBI_CASE_DROP)                                                                   \
        default:                                                                                   \
            break;                                                                                 \
        }                                                                                          \
        memset(v, 0, sizeof *v);                                                                   \
    }

/*
 * Declares `enum NAME` and the type NAME from its values E(NAME, value), 32 bits each:
 *   #define COLOR(E) E(RED, 1) E(GREEN, 2)
 *   WB_ENUM(color, COLOR)
 * A value that is not in the list is refused by the sender and by the receiver.
 */
#define WBI_ENUM_VALUE(name, value) name = (value),
#define WBI_ENUM_FIELD(name, value) {"ENUM", #name, #name, NULL, (value)},
#define WBI_ENUM_CASE(name, value) case name:
#define WB_ENUM(NAME, VALUES)                                                                      \
    typedef enum NAME { VALUES(WBI_ENUM_VALUE) } NAME;                                             \
    enum { NAME##_wire_min = 4, NAME##_wire_raw = 0, NAME##_views = 0, NAME##_owns = 0 };          \
    enum { NAME##_fixed = 1 };                                                                     \
    WBI_UNUSED static const struct wb_field NAME##_fields[] = {VALUES(WBI_ENUM_FIELD)              \
                                                                   WBI_FIELD_END};                 \
    WBI_UNUSED static const struct wb_type NAME##_type = {                                         \
        .kind = WB_TYPE_ENUM, .name = #NAME, .bytes = 4, .fields = NAME##_fields, .wire_min = 4};  \
    WBI_GENERATED bool NAME##_is_valid(int32_t value)                                              \
    {                                                                                              \
        switch (value) {                                                                           \
            VALUES(WBI_ENUM_CASE)                                                                  \
            return true;                                                                           \
        default:                                                                                   \
            return false;                                                                          \
        }                                                                                          \
    }                                                                                              \
    WBI_GENERATED size_t NAME##_wire_size(struct wb_sizer *s, size_t at, const NAME *v)            \
    {                                                                                              \
        (void)s;                                                                                   \
        (void)v;                                                                                   \
        return at + 4;                                                                             \
    }                                                                                              \
    WBI_GENERATED struct wb_out NAME##_wire_put(struct wb_writer *w, struct wb_out o,              \
                                                const NAME *v)                                     \
    {                                                                                              \
        int32_t value = (int32_t)*v;                                                               \
        if (!NAME##_is_valid(value)) {                                                             \
            w->status = WB_ERR_INVALID;                                                            \
        }                                                                                          \
        return wb_i32_wire_put(w, o, &value);                                                      \
    }                                                                                              \
    WBI_GENERATED struct wb_in NAME##_wire_get(struct wb_reader *r, struct wb_in in, NAME *v)      \
    {                                                                                              \
        int32_t value;                                                                             \
        in = wb_i32_wire_get(r, in, &value);                                                       \
        *v = (NAME)value;                                                                          \
        if (!NAME##_is_valid(value)) {                                                             \
            memset(v, 0, sizeof *v);                                                               \
            wb_reader_fail(r, WB_ERR_MALFORMED, "a value that its enum does not have");            \
            in.spare = 0;                                                                          \
        }                                                                                          \
        return in;                                                                                 \
    }                                                                                              \
    WBI_GENERATED void NAME##_drop(NAME *v)                                                        \
    {                                                                                              \
        (void)v;                                                                                   \
    }

/*
 * Makes the complete type T travel as its own bytes: any pattern of them must be a value (no
 * pointer, no bool, no enum), both sides are machines alike, and padding travels as it is. Its name
 * and size are part of the signature.
 */
#define WB_BITWISE(T)                                                                              \
    WBI_SCALAR_FAMILY(T)                                                                           \
    WBI_UNUSED static const struct wb_type T##_type = {                                            \
        .kind = WB_TYPE_BITWISE, .name = #T, .bytes = sizeof(T), .wire_min = sizeof(T)};

/* Declares the type T, a struct of raw fields (VALUE, and TYPE and FIXED of raw types) without
 * padding, which travels as its own bytes. Its fields are part of the signature. */
#define WBI_RAW(kind, type, ...) WBI_RAW_##kind(type)
#define WBI_RAW_VALUE(type)
#define WBI_RAW_TYPE(type) &&type##_wire_raw
#define WBI_RAW_FIXED(type) &&type##_wire_raw
#define WB_BITWISE_STRUCT(T, FIELDS)                                                               \
    typedef struct T {                                                                             \
        FIELDS(WBI_MEMBER)                                                                         \
    } T;                                                                                           \
    _Static_assert(1 FIELDS(WBI_RAW), "a field's type is not its own bytes");                      \
    _Static_assert((0 FIELDS(WBI_MIN)) == sizeof(T), "padding would travel: add fields for it");   \
    WBI_SCALAR_FAMILY(T)                                                                           \
    WBI_UNUSED static const struct wb_field T##_fields[] = {FIELDS(WBI_FIELD) WBI_FIELD_END};      \
    WBI_UNUSED static const struct wb_type T##_type = {.kind = WB_TYPE_BITWISE,                    \
                                                       .name = #T,                                 \
                                                       .bytes = sizeof(T),                         \
                                                       .fields = T##_fields,                       \
                                                       .wire_min = sizeof(T)};

#endif
