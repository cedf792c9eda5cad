/*
 * The buffer: bytes of any memory that travel as a pointer chunk, with a count of references and a
 * release callback. After the serialize_buffer of Biddiscombe et al., "Zero copy serialization
 * using RMA in the HPX distributed task-based runtime", section 3.1.
 *
 * A handle is one of three:
 *   a view      owner and block NULL: borrowed, somebody else sees to it that the bytes stay
 *   counted     owner set: plain memory that ends with its last reference
 *   registered  block set: a part of a pool's block, as a vector's slice; it travels as an rma
 * chunk
 *
 * A call takes a reference to what it offers, and gives it back when the peer can read the bytes no
 * more: when the peer has released them, when its access was revoked, or when the channel is gone;
 * after a call that timed out or was cancelled that may be later than its end. So what was passed
 * to NAME_async may be dropped at once. A view is borrowed until NAME_finish, as wb_bytes are.
 *
 * What arrives is a registered buffer where it came as a chunk (it is the receiver's to keep) and a
 * view into the message where it was packed; wb_buffer_keep makes one's own of either.
 */
#ifndef WAYBILL_BUFFER_H
#define WAYBILL_BUFFER_H

#include <waybill/vector.h>

struct wb_buffer_owner; /* the count of references to counted memory; opaque */

/*
 * Bytes and what keeps them; a handle that is passed by value. All zero is the empty buffer.
 * Read data and len directly; change them only by the functions below.
 */
typedef struct wb_buffer {
    const void *data;
    size_t len;
    struct wb_rma_block *block;    /* one reference is held by this handle; or NULL */
    struct wb_buffer_owner *owner; /* likewise; never both */
} wb_buffer;

/*
 * Tells the owner of counted memory that nobody reads it any more: called once, by the thread that
 * drops the last reference. That is the program's own, inside wb_buffer_drop; or, where the last
 * was a call's or a reply's, a thread that makes progress, between two steps of the engine. There
 * the rules for handlers hold: it must not block, may make async calls, and functions that wait
 * answer WB_ERR_DEADLOCK; inside wb_engine_destroy it may not use that engine.
 */
typedef void (*wb_buffer_release)(void *context, const void *data, size_t len);

/* A view of `len` bytes at `data`, which are the caller's business. */
static inline wb_buffer wb_buffer_view(const void *data, size_t len)
{
    return (wb_buffer){.data = data, .len = len};
}

/* Makes *out a counted copy of the bytes. Any thread. Errors: WB_ERR_NO_MEMORY; *out is then empty.
 */
WB_API int wb_buffer_copy(const void *data, size_t len, wb_buffer *out);

/*
 * Makes *out counted and refers to the bytes where they are: they must stay until
 * release(context, data, len) is called; with release NULL, for ever. Any thread.
 * Errors: WB_ERR_NO_MEMORY; *out is then empty and release is not called.
 */
WB_API int wb_buffer_reference(const void *data, size_t len, wb_buffer_release release,
                               void *context, wb_buffer *out);

/*
 * Makes *out counted and takes the memory, which free_memory(memory) ends with the last reference,
 * on the thread that wb_buffer_release says; NULL means free(). Any thread.
 * Errors: WB_ERR_NO_MEMORY; *out is then empty and the memory still the caller's.
 */
WB_API int wb_buffer_adopt(void *memory, size_t len, void (*free_memory)(void *), wb_buffer *out);

/* Returns the content of the handle and empties it: how a handler keeps a buffer that it knows to
 * be no view. Any thread. */
static inline wb_buffer wb_buffer_take(wb_buffer *buffer)
{
    wb_buffer taken = *buffer;
    *buffer = (wb_buffer){0};
    return taken;
}

/* Takes a vector's elements, as a registered buffer; the vector is then empty. Any thread. */
static inline wb_buffer wb_buffer_of_vector(wb_rma_vector *vector)
{
    wb_rma_vector taken = wb_rma_vector_take(vector);
    return (wb_buffer){
        .data = taken.data, .len = wb_rma_vector_bytes(&taken), .block = taken.block};
}

/* Returns a second handle to the same bytes, which is dropped by itself; of a view, a view. Any
 * thread. */
WB_API wb_buffer wb_buffer_share(const wb_buffer *buffer);

/* As share, for the bytes [first, first + len). A range that is not inside gives the empty buffer.
 */
WB_API wb_buffer wb_buffer_slice(const wb_buffer *buffer, size_t first, size_t len);

/*
 * Moves the bytes to *out in a form that stays: takes what is no view, copies what is one (as
 * wb_buffer_copy), and empties *buffer. How a handler keeps an argument, and a caller a result, of
 * any size. out is another handle. Any thread. Errors: WB_ERR_NO_MEMORY; *out is then empty and
 * *buffer as it was.
 */
WB_API int wb_buffer_keep(wb_buffer *buffer, wb_buffer *out);

/* Drops this handle's reference and empties the handle. Any thread; an empty handle and a view are
 * fine. */
WB_API void wb_buffer_drop(wb_buffer *buffer);

/* Whether the bytes are somebody else's. The empty buffer is no view. */
static inline bool wb_buffer_is_view(const wb_buffer *buffer)
{
    return buffer->len > 0 && buffer->block == NULL && buffer->owner == NULL;
}

/* Whether this handle is the only reference to its memory (that of a call, or of a peer that may
 * still read, is one too). A view is not; the empty buffer is. Any thread. */
WB_API bool wb_buffer_is_exclusive(const wb_buffer *buffer);

#endif
