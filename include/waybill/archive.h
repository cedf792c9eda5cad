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
 * at a time; no function here blocks, and none but those that read nested arrays allocates.
 *
 * The functions here take one field at a time. Those that the macros of <waybill/type.h> generate
 * promise the fewest bytes of a whole struct at once, so that there is one check for a run of fixed
 * fields: what a variable field may use beyond its fewest bytes is `spare`, and always
 * end - at == spare + promised. A field that fails takes its fewest bytes, and the walk goes on
 * inside what was promised.
 */
#ifndef WAYBILL_ARCHIVE_H
#define WAYBILL_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <waybill/arena.h>
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
typedef bool wb_bool;

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
    bool exact;         /* the program has set them: small chunks are not gathered */
    size_t bytes;       /* of the archive so far; above PTRDIFF_MAX once a sum overflowed */
    size_t index_start; /* where the open index chunk began */
    uint32_t records;   /* chunks so far, without the open index chunk */
    uint32_t offered;   /* of records, those that are no index chunks */
};

struct wb_writer {
    struct wb_thresholds thresholds;
    uint8_t *begin, *at, *end;
    size_t spare; /* bytes up to end that no field is promised */
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
    size_t spare; /* bytes up to end that no field is promised; 0 after a failure */
    const struct wb_landing *landings;
    uint32_t landing_count, landing_next;
    struct wb_rma_block
        *backing; /* the block that contains the archive itself, or NULL where it is a slot */
    int status;   /* sticky: the first failure */
    uint32_t arena_limit; /* of the arena that NAME_get sets up, bytes; 0: WB_ARENA_LIMIT */
    const char *what;     /* in words what failed; static storage; NULL while status is WB_OK */
    /* Makes a vector of bytes that lie in `block` (shares it) or, where block is NULL, copies them
     * into a fresh block. Returns WB_OK, WB_AGAIN or an error; sets *out on success only. */
    int (*make_vector)(void *context, struct wb_rma_block *block, const void *data, uint64_t bytes,
                       uint32_t elem_size, wb_rma_vector *out);
    void *context;
    struct wb_arena *arena; /* borrowed: of nested arrays and what they hold; NULL: there are none,
                               or the generated NAME_get sets it */
    uint32_t depth;         /* of the custom types being read */
    uint32_t depth_limit;   /* of it; 0: WB_DEPTH_LIMIT */
    struct wb_printer *printer; /* of <waybill/print.h>, that watches custom types; else NULL */
};

/* A writer's place while a generated function has it in registers. */
struct wb_out {
    uint8_t *at;
    size_t spare;
};

/* A reader's likewise. */
struct wb_in {
    const uint8_t *at;
    size_t spare;
};

/* An added field that is being written or read. */
struct wbi_added {
    size_t position; /* in the archive: of its first byte, or (reading) behind its last */
    size_t spare;    /* reading: of what follows it */
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
    WB_INLINE_RMA_ALIGNED = 4096,
    WB_ADDED_HEAD = 8,   /* bytes before an added field: its length and its id, u32 each */
    WB_ARCHIVE_ALIGN = 8 /* of an archive's first byte, so that arrays in it can be viewed */
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

#endif
