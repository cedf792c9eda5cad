/* The reading pass of an archive: every get checks its bounds; after the first failure all of them
 * yield zero. See <waybill/archive.h>. */
#ifndef WAYBILL_PASS_GET_H
#define WAYBILL_PASS_GET_H

#include <waybill/archive.h>

/* Records the first failure; `what` is a static string. */
static inline void wb_reader_fail(struct wb_reader *r, int status, const char *what)
{
    if (r->status == WB_OK) {
        r->status = status;
        r->what = what;
        r->spare = 0;
    }
}

/* Starts reading [begin, begin + bytes), which is borrowed as long as what was read is used; its
 * first byte is aligned to WB_ARCHIVE_ALIGN where there are arrays. The caller sets landings,
 * backing, make_vector and context where there are any. */
static inline void wb_reader_start(struct wb_reader *r, const void *begin, size_t bytes)
{
    *r = (struct wb_reader){
        .begin = begin, .at = begin, .end = (const uint8_t *)begin + bytes, .spare = bytes};
}

static inline void wb_get_raw(struct wb_reader *r, void *out, size_t bytes)
{
    if (r->spare < bytes) {
        wb_reader_fail(r, WB_ERR_MALFORMED, "the archive ends inside a value");
        memset(out, 0, bytes);
        return;
    }
    memcpy(out, r->at, bytes);
    r->at += bytes;
    r->spare -= bytes;
}

/* Promises `bytes` bytes to what follows. False, and failed, where there are not so many. */
static inline bool wbi_reader_open(struct wb_reader *r, size_t bytes, struct wb_in *in)
{
    *in = (struct wb_in){.at = r->at};
    if (r->spare < bytes || r->status != WB_OK) {
        wb_reader_fail(r, WB_ERR_MALFORMED, "the archive ends inside a value");
        return false;
    }
    in->spare = r->spare - bytes;
    return true;
}

static inline void wbi_reader_close(struct wb_reader *r, struct wb_in in)
{
    r->at = in.at;
    r->spare = in.spare;
}

/* Each reads a field whose fewest bytes are promised, into *v, and returns the place behind it. On
 * failure (the reader's status is set) *v is empty and the place is inside what was promised, with
 * nothing to spare. */
WB_API struct wb_in wb_wire_get_bytes(struct wb_reader *r, struct wb_in in, wb_bytes *v);
WB_API struct wb_in wb_wire_get_rma(struct wb_reader *r, struct wb_in in, wb_rma_vector *v);
WB_API struct wb_in wb_wire_get_object(struct wb_reader *r, struct wb_in in, wb_rma_vector *v,
                                       size_t bytes);
WB_API struct wb_in wb_wire_get_buffer(struct wb_reader *r, struct wb_in in, wb_buffer *v);
/* A view of *count elements of a bitwise type, aligned to `align`. */
WB_API struct wb_in wb_wire_get_array(struct wb_reader *r, struct wb_in in, const void **data,
                                      size_t *count, size_t elem_bytes, size_t align);
/* Memory of the arena for *count elements, and the promise of wire_min bytes (1 or more) to each.
 */
WB_API struct wb_in wb_wire_get_count(struct wb_reader *r, struct wb_in in, void **items,
                                      size_t *count, size_t wire_min, size_t elem_bytes);

/* Memory of the arena for *count strings or byte ranges, and views in them. */
WB_API struct wb_in wb_wire_get_texts(struct wb_reader *r, struct wb_in in, void **items,
                                      size_t *count);

/* Around an added field. begin answers false where the peer has not sent it, or on failure. */
WB_API bool wb_added_get_begin(struct wb_reader *r, struct wb_in *in, uint32_t id, size_t wire_min,
                               struct wbi_added *added);
WB_API struct wb_in wb_added_get_end(struct wb_reader *r, struct wb_in in,
                                     const struct wbi_added *added);
/* Passes over fields that a later program has added, and their chunks. */
WB_API void wb_reader_pass_added(struct wb_reader *r);

/* Views into the archive or a landing; valid as long as the parcel is. Empty on failure. */
static inline wb_bytes wb_get_bytes(struct wb_reader *r)
{
    wb_bytes v = {0};
    struct wb_in in;
    if (wbi_reader_open(r, 1, &in)) {
        wbi_reader_close(r, wb_wire_get_bytes(r, in, &v));
    }
    return v;
}

static inline wb_str wb_get_str(struct wb_reader *r)
{
    wb_bytes v = wb_get_bytes(r);
    return (wb_str){.data = (const char *)v.data, .len = v.len};
}

/* Returns a vector that the caller owns; the empty vector on failure. */
static inline wb_rma_vector wb_get_rma(struct wb_reader *r)
{
    wb_rma_vector v = {0};
    struct wb_in in;
    if (wbi_reader_open(r, 2, &in)) {
        wbi_reader_close(r, wb_wire_get_rma(r, in, &v));
    }
    return v;
}

/* Returns a vector of one element of `bytes` bytes, or the empty handle where that was sent. The
 * caller owns it. Anything else that was sent is WB_ERR_MALFORMED, and found before memory is asked
 * for. */
static inline wb_rma_vector wb_get_object(struct wb_reader *r, size_t bytes)
{
    wb_rma_vector v = {0};
    struct wb_in in;
    if (wbi_reader_open(r, 2, &in)) {
        wbi_reader_close(r, wb_wire_get_object(r, in, &v, bytes));
    }
    return v;
}

/* Returns a buffer that the caller drops: registered, or a view that is valid as long as the parcel
 * is. Empty on failure. */
static inline wb_buffer wb_get_buffer(struct wb_reader *r)
{
    wb_buffer v = {0};
    struct wb_in in;
    if (wbi_reader_open(r, 1, &in)) {
        wbi_reader_close(r, wb_wire_get_buffer(r, in, &v));
    }
    return v;
}

/* What of the archive or of its chunks is left over fails: WB_ERR_MALFORMED. */
WB_API int wb_reader_fail_rest(struct wb_reader *r);

/* Ends the decoding: WB_OK if nothing failed and every byte and every chunk was used;
 * WB_ERR_MALFORMED otherwise. */
static inline int wb_reader_finish(struct wb_reader *r)
{
    bool whole = r->at == r->end && r->landing_next == r->landing_count;
    return whole || r->status != WB_OK ? r->status : wb_reader_fail_rest(r);
}

#endif
