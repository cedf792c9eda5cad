#include <waybill/custom.h>

#include "serial/printer.h"

bool wb_custom_put_begin(struct wb_writer *w, struct wb_out o, unsigned version)
{
    if (w->status != WB_OK) {
        return false;
    }
    *o.at++ = (uint8_t)version;
    wbi_writer_close(w, o);
    return true;
}

bool wb_custom_get_begin(struct wb_reader *r, struct wb_in in, unsigned version, unsigned *found)
{
    *found = *in.at++;
    if (*found == 0 || *found > version) {
        wb_reader_fail(r, WB_ERR_MALFORMED, "a value is of a later version than its type here");
    } else if (r->depth >= (r->depth_limit != 0 ? r->depth_limit : WB_DEPTH_LIMIT)) {
        wb_reader_fail(r, WB_ERR_MALFORMED, "values are nested too deep");
    }
    if (r->status != WB_OK) {
        return false;
    }
    r->depth++;
    wbi_reader_close(r, in);
    return true;
}

/* Each element has a byte of its own at least, but none is promised: its parts see to that. */
static void get_items(struct wb_reader *r, void **items, size_t *count, size_t elem_bytes)
{
    struct wb_in in;
    *items = NULL;
    *count = 0;
    if (wbi_reader_open(r, 1, &in)) {
        size_t promised;
        in = wb_wire_get_count(r, in, items, &promised, 1, elem_bytes);
        in.spare += promised;
        *count = promised;
        wbi_reader_close(r, in);
    }
    if (*count > 0) {
        memset(*items, 0, *count * elem_bytes);
    }
}

void wb_pass_count(struct wb_pass *p, void **items, size_t *count, size_t elem_bytes)
{
    size_t at = p->mode == WB_PASS_GET ? (size_t)(p->reader->at - p->reader->begin) : 0;
    switch (p->mode) {
    case WB_PASS_SIZE:
        wb_size_raw(p->sizer, wb_len_size(*count));
        break;
    case WB_PASS_PUT:
        wb_put_len(p->writer, *count);
        break;
    case WB_PASS_GET:
        get_items(p->reader, items, count, elem_bytes);
        if (p->reader->printer != NULL) {
            wbi_print_count(p->reader->printer, at, *count);
        }
        break;
    default:
        break;
    }
}
