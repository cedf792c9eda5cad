#include "serial/texts.h"

#include "serial/archive.h"

/* What is shorter stands in the archive behind a length of one byte. */
static size_t short_below(struct wb_thresholds thresholds)
{
    return thresholds.pointer < WB_LEN_U16 ? thresholds.pointer : WB_LEN_U16;
}

/* Long ones and chunks among them. */
static size_t size_slowly(struct wb_sizer *s, size_t at, const void *items, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        wb_bytes text = wbi_text_at(items, i);
        if (wbi_is_pointer_chunk(s->thresholds, text)) {
            at = wbi_size_chunk(s, at);
        } else {
            at += wb_len_size(text.len);
            bytes = wbi_sum(bytes, text.len);
        }
    }
    return wbi_sum(at, bytes);
}

size_t wb_wire_size_texts(struct wb_sizer *s, size_t at, const void *items, size_t count)
{
    size_t bytes;
    at = wbi_sum(at, wb_len_size(count));
    if (items == NULL) {
        return at; /* to put them fails, if there are any */
    }
    return wbi_lengths_add(items, count, short_below(s->thresholds), &bytes)
               ? wbi_sum(at, count + bytes)
               : size_slowly(s, at, items, count);
}

static struct wb_out fail_put(struct wb_writer *w, struct wb_out o)
{
    w->status = WB_ERR_INVALID;
    return o;
}

/* Long ones and chunks among them. */
static struct wb_out put_slowly(struct wb_writer *w, struct wb_out o, const void *items,
                                size_t count)
{
    for (size_t i = 0; i < count; i++) {
        wb_bytes text = wbi_text_at(items, i);
        if (wbi_is_pointer_chunk(w->thresholds, text)) {
            o = wbi_put_pointer_chunk(w, o, text);
        } else if (o.spare < wb_len_size(text.len) - 1) {
            return fail_put(w, o);
        } else {
            o = wbi_put_len(o, text.len);
        }
    }
    for (size_t i = 0; i < count; i++) {
        wb_bytes text = wbi_text_at(items, i);
        if (text.len == 0 || wbi_is_pointer_chunk(w->thresholds, text)) {
            continue;
        }
        if (text.len > o.spare || text.data == NULL) {
            return fail_put(w, o);
        }
        memcpy(o.at, text.data, text.len);
        o.at += text.len;
        o.spare -= text.len;
    }
    return o;
}

struct wb_out wb_wire_put_texts(struct wb_writer *w, struct wb_out o, const void *items,
                                size_t count)
{
    o = wb_wire_put_count(w, o, items, count, 1);
    if (w->status != WB_OK) {
        return o;
    }
    return wbi_texts_put(&o, items, count, short_below(w->thresholds))
               ? o
               : put_slowly(w, o, items, count);
}

/* On failure all of them are empty. What stands in the archive has its first byte for a place,
 * until its own is known: the printer has chunks that are nowhere. */
static struct wb_in get_slowly(struct wb_reader *r, struct wb_in in, void *items, size_t count)
{
    for (size_t i = 0; i < count && r->status == WB_OK; i++) {
        struct wbi_prefix prefix = wbi_get_prefix(r, &in);
        wbi_text_set(items, i,
                     prefix.is_chunk ? wbi_take_pointer_chunk(r, &in)
                                     : (wb_bytes){.data = r->begin, .len = prefix.len});
    }
    for (size_t i = 0; i < count && r->status == WB_OK; i++) {
        wb_bytes text = wbi_text_at(items, i);
        if (text.data == r->begin) {
            text.data = wbi_take(r, &in, text.len);
            wbi_text_set(items, i, text);
        }
    }
    if (r->status != WB_OK) {
        memset(items, 0, count * sizeof(wb_bytes));
    }
    return in;
}

struct wb_in wb_wire_get_texts(struct wb_reader *r, struct wb_in in, void **items, size_t *count)
{
    size_t bytes;
    in = wb_wire_get_count(r, in, items, count, 1, sizeof(wb_bytes));
    if (!wbi_lengths_get(in.at, *items, *count, &bytes) || bytes > in.spare) {
        return get_slowly(r, in, *items, *count);
    }
    return (struct wb_in){.at = in.at + *count + bytes, .spare = in.spare - bytes};
}
