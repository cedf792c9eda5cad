/*
 * The archive: small arguments packed in order, large ones left where they are and listed as
 * chunks. After the chunked archive of Biddiscombe et al., sections 3.1 and 3.4. Fields are packed
 * without alignment, little-endian; docs/wire-format.md has the bytes. The stubs that WB_ACTION
 * generates are the usual callers.
 *
 * Three passes share one shape, put in the order of the field list:
 *   wb_size_*  adds up what the writer will write,   wb_put_*  writes,   wb_get_*  reads and
 * checks. Invariant: after the same fields, sizer.bytes == writer.at - writer.begin, and
 * sizer.records is the length of the writer's chunk list. A sizer or writer is used by one thread
 * at a time; no function here allocates or blocks.
 */
#ifndef WAYBILL_SERIAL_H
#define WAYBILL_SERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <waybill/memory.h>
#include <waybill/status.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the archive is written by plain stores, which needs a little-endian machine"
#endif

typedef int8_t wb_i8;
typedef int16_t wb_i16;
typedef int32_t wb_i32;
typedef int64_t wb_i64;
typedef uint8_t wb_u8;
typedef uint16_t wb_u16;
typedef uint32_t wb_u32;
typedef uint64_t wb_u64;
typedef float wb_f32;
typedef double wb_f64;

/* A string of `len` bytes, not terminated; borrowed wherever it appears. */
typedef struct wb_str {
    const char *data;
    size_t len;
} wb_str;

/* A range of bytes; borrowed wherever it appears. */
typedef struct wb_bytes {
    const void *data;
    size_t len;
} wb_bytes;

static inline wb_str wb_str_of(const char *text)
{
    return (wb_str){.data = text, .len = strlen(text)};
}

/* For printf: printf("%.*s", WB_STR_ARG(label)). */
#define WB_STR_ARG(s) ((s).len > 1000000 ? 1000000 : (int)(s).len), ((s).len ? (s).data : "")

enum wb_chunk_kind {
    WB_CHUNK_INDEX = 1,   /* a range of the archive */
    WB_CHUNK_POINTER = 2, /* user memory, made readable for this parcel alone */
    WB_CHUNK_RMA = 3      /* memory of an rma_allocator, whose key is known already */
};

/* One entry of a writer's chunk list. INDEX: offset and len in the archive. Others: data, len;
 * block for RMA; owner for a POINTER chunk that has one. */
struct wb_chunk {
    uint32_t kind;
    uint64_t offset;
    const void *data;
    uint64_t len;
    struct wb_rma_block *block;    /* borrowed from the vector; the lease takes its own reference */
    struct wb_buffer_owner *owner; /* likewise from the buffer */
};

/* Where an argument stops being packed and becomes a chunk, in bytes; SIZE_MAX switches that kind
 * off. */
struct wb_thresholds {
    size_t pointer;
    size_t rma;
    size_t pointer_mask; /* bits that are 0 in a pointer chunk's address and length; other ranges
                            are packed, whatever their length: nobody may read beyond their ends */
    size_t buffer;       /* counted buffers: pointer chunks that may outlive who sends them */
};

struct wb_sizer {
    struct wb_thresholds thresholds;
    size_t bytes;       /* of the archive so far; SIZE_MAX once a sum overflowed */
    size_t index_start; /* where the open index chunk began */
    uint32_t records;   /* chunks so far, without the open index chunk */
    uint32_t offered;   /* of records, those that are no index chunks */
};

struct wb_writer {
    struct wb_thresholds thresholds;
    uint8_t *begin, *at, *end;
    size_t index_start;
    struct wb_chunk *chunks; /* room for chunk_capacity entries */
    uint32_t chunk_count, chunk_capacity;
    int status;  /* sticky: WB_ERR_INVALID where fields and sizing disagree, or bytes cannot be */
    void *owner; /* the parcel being written; the engine's */
};

/* Where one offered chunk has landed. [data, data + len) is valid as long as the reader's parcel
 * is. */
struct wb_landing {
    void *data;
    uint64_t len;
    uint64_t archive_offset;    /* the position in the archive at which the chunk was left out */
    uint32_t kind;              /* WB_CHUNK_POINTER or WB_CHUNK_RMA */
    struct wb_rma_block *block; /* that contains data; the parcel holds a reference */
};

struct wb_reader {
    const uint8_t *begin, *at, *end;
    const struct wb_landing *landings;
    uint32_t landing_count, landing_next;
    struct wb_rma_block
        *backing;     /* the block that contains the archive itself, or NULL where it is a slot */
    int status;       /* sticky: the first failure */
    const char *what; /* in words what failed; static storage; NULL while status is WB_OK */
    /* Makes a vector of bytes that lie in `block` (shares it) or, where block is NULL, copies them
     * into a fresh block. Returns WB_OK, WB_AGAIN or an error; sets *out on success only. */
    int (*make_vector)(void *context, struct wb_rma_block *block, const void *data, uint64_t bytes,
                       uint32_t elem_size, wb_rma_vector *out);
    void *context;
};

/* ---- lengths: 1 byte below 252, then 252 + u16, 253 + u32, 254 + u64, the shortest that fits; 255
 * is a chunk ---- */

enum {
    WB_LEN_U16 = 252,
    WB_LEN_U32 = 253,
    WB_LEN_U64 = 254,
    WB_LEN_CHUNK = 255,
    WB_INLINE_RMA_ALIGN =
        64, /* packed rma data of WB_INLINE_RMA_ALIGNED bytes or more begins on this boundary */
    WB_INLINE_RMA_ALIGNED = 4096
};

static inline size_t wb_len_size(uint64_t len)
{
    return len < WB_LEN_U16 ? 1 : len <= UINT16_MAX ? 3 : len <= UINT32_MAX ? 5 : 9;
}

/* Whether a string or byte range becomes a chunk; one of 0 bytes never does. */
static inline bool wbi_is_pointer_chunk(struct wb_thresholds thresholds, wb_bytes v)
{
    return v.len >= thresholds.pointer && v.len > 0 &&
           (((uintptr_t)v.data | v.len) & thresholds.pointer_mask) == 0;
}

/* ---- the sizing pass ---- */

static inline void wb_sizer_start(struct wb_sizer *s, struct wb_thresholds thresholds)
{
    *s = (struct wb_sizer){.thresholds = thresholds};
}

static inline void wb_size_raw(struct wb_sizer *s, size_t bytes)
{
    s->bytes = bytes > SIZE_MAX - s->bytes ? SIZE_MAX : s->bytes + bytes;
}

/* Counts a chunk and the mark that stands for it in the archive: the open index chunk ends behind
 * the mark. */
static inline void wb_size_chunk(struct wb_sizer *s)
{
    wb_size_raw(s, 1);
    s->records += s->bytes > s->index_start ? 2 : 1;
    s->offered++;
    s->index_start = s->bytes;
}

static inline void wb_size_bytes(struct wb_sizer *s, wb_bytes v)
{
    if (wbi_is_pointer_chunk(s->thresholds, v)) {
        wb_size_chunk(s);
    } else {
        wb_size_raw(s, wb_len_size(v.len));
        wb_size_raw(s, v.len);
    }
}

static inline void wb_size_str(struct wb_sizer *s, wb_str v)
{
    wb_size_bytes(s, (wb_bytes){.data = v.data, .len = v.len});
}

WB_API void wb_size_rma(struct wb_sizer *s, const wb_rma_vector *v);
/* A buffer is a chunk by what keeps its bytes: a view from thresholds.pointer on, a counted one
 * from thresholds.buffer, a registered one (an RMA chunk) from thresholds.rma. */
WB_API void wb_size_buffer(struct wb_sizer *s, const wb_buffer *v);

/* Closes the pass: the last index chunk counts only if there are chunks beside it. */
static inline void wb_sizer_finish(struct wb_sizer *s)
{
    if (s->records > 0 && s->bytes > s->index_start) {
        s->records++;
    }
}

/* ---- writing ---- */

/* Starts writing into [begin, begin + bytes), which the sizer has measured; chunk_capacity is its
 * records exactly. */
static inline void wb_writer_start(struct wb_writer *w, struct wb_thresholds thresholds,
                                   void *begin, size_t bytes, struct wb_chunk *chunks,
                                   uint32_t chunk_capacity)
{
    *w = (struct wb_writer){.thresholds = thresholds,
                            .begin = begin,
                            .at = begin,
                            .end = (uint8_t *)begin + bytes,
                            .chunks = chunks,
                            .chunk_capacity = chunk_capacity};
}

static inline void wb_put_raw(struct wb_writer *w, const void *data, size_t bytes)
{
    if (bytes == 0) {
        return;
    }
    if ((size_t)(w->end - w->at) < bytes || data == NULL) {
        w->status = WB_ERR_INVALID;
        return;
    }
    memcpy(w->at, data, bytes);
    w->at += bytes;
}

WB_API void wb_put_len(struct wb_writer *w, uint64_t len);
/* Lists `len` bytes (1 to PTRDIFF_MAX) at `data` as a chunk and leaves its mark in the archive.
 * Borrows data and block. */
WB_API void wb_put_chunk(struct wb_writer *w, uint32_t kind, const void *data, uint64_t len,
                         struct wb_rma_block *block);

static inline void wb_put_bytes(struct wb_writer *w, wb_bytes v)
{
    if (wbi_is_pointer_chunk(w->thresholds, v)) {
        wb_put_chunk(w, WB_CHUNK_POINTER, v.data, v.len, NULL);
    } else if (v.len < WB_LEN_U16) {
        uint8_t len = (uint8_t)v.len;
        wb_put_raw(w, &len, 1);
        wb_put_raw(w, v.data, v.len);
    } else {
        wb_put_len(w, v.len);
        wb_put_raw(w, v.data, v.len);
    }
}

static inline void wb_put_str(struct wb_writer *w, wb_str v)
{
    wb_put_bytes(w, (wb_bytes){.data = v.data, .len = v.len});
}

WB_API void wb_put_rma(struct wb_writer *w, const wb_rma_vector *v);
WB_API void wb_put_buffer(struct wb_writer *w, const wb_buffer *v);

/* A vector of one element of `bytes` bytes, or the empty handle; another one makes finish answer
 * WB_ERR_INVALID. wb_size_rma measures it. */
WB_API void wb_put_object(struct wb_writer *w, const wb_rma_vector *v, size_t bytes);

/* Closes the archive and its chunk list. Returns WB_OK, or WB_ERR_INVALID where what was written
 * differs from what was measured (a field changed in between), or where a field has bytes at NULL
 * or more than PTRDIFF_MAX. */
WB_API int wb_writer_finish(struct wb_writer *w);

/* ---- reading: every get checks its bounds; after the first failure all of them yield zero ---- */

/* Records the first failure; `what` is a static string. */
static inline void wb_reader_fail(struct wb_reader *r, int status, const char *what)
{
    if (r->status == WB_OK) {
        r->status = status;
        r->what = what;
        r->at = r->end;
    }
}

static inline void wb_get_raw(struct wb_reader *r, void *out, size_t bytes)
{
    if ((size_t)(r->end - r->at) < bytes) {
        wb_reader_fail(r, WB_ERR_MALFORMED, "the archive ends inside a value");
        memset(out, 0, bytes);
        return;
    }
    memcpy(out, r->at, bytes);
    r->at += bytes;
}

/* Views into the archive or a landing; valid as long as the parcel is. Empty on failure. */
WB_API wb_bytes wb_get_bytes(struct wb_reader *r);
static inline wb_str wb_get_str(struct wb_reader *r)
{
    wb_bytes v = wb_get_bytes(r);
    return (wb_str){.data = (const char *)v.data, .len = v.len};
}

/* Returns a vector that the caller owns; the empty vector on failure. */
WB_API wb_rma_vector wb_get_rma(struct wb_reader *r);

/* Returns a vector of one element of `bytes` bytes, or the empty handle where that was sent. The
 * caller owns it. Anything else that was sent is WB_ERR_MALFORMED, and found before memory is asked
 * for. */
WB_API wb_rma_vector wb_get_object(struct wb_reader *r, size_t bytes);

/* Returns a buffer that the caller drops: registered, or a view that is valid as long as the parcel
 * is. Empty on failure. */
WB_API wb_buffer wb_get_buffer(struct wb_reader *r);

/* Ends the decoding: WB_OK if nothing failed and every byte and every chunk was used;
 * WB_ERR_MALFORMED otherwise. */
WB_API int wb_reader_finish(struct wb_reader *r);

/* ---- scalars ---- */

#define WBI_SCALAR(name, type)                                                                     \
    static inline void wb_size_##name(struct wb_sizer *s, type v)                                  \
    {                                                                                              \
        (void)v;                                                                                   \
        wb_size_raw(s, sizeof(type));                                                              \
    }                                                                                              \
    static inline void wb_put_##name(struct wb_writer *w, type v)                                  \
    {                                                                                              \
        wb_put_raw(w, &v, sizeof v);                                                               \
    }                                                                                              \
    static inline type wb_get_##name(struct wb_reader *r)                                          \
    {                                                                                              \
        type v;                                                                                    \
        wb_get_raw(r, &v, sizeof v);                                                               \
        return v;                                                                                  \
    }

WBI_SCALAR(i8, wb_i8)
WBI_SCALAR(i16, wb_i16)
WBI_SCALAR(i32, wb_i32)
WBI_SCALAR(i64, wb_i64)
WBI_SCALAR(u8, wb_u8)
WBI_SCALAR(u16, wb_u16)
WBI_SCALAR(u32, wb_u32)
WBI_SCALAR(u64, wb_u64)
WBI_SCALAR(f32, wb_f32)
WBI_SCALAR(f64, wb_f64)

#endif
