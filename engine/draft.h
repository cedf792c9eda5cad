/*
 * A draft: an archive that is written beside its message, because how long it will be there is only
 * known when it has been filtered. The steps: open (the stub writes the archive), close, then what
 * is done for any parcel up to its place, pour.
 */
#ifndef WBI_ENGINE_DRAFT_H
#define WBI_ENGINE_DRAFT_H

#include <stdbool.h>
#include <waybill/serial.h>

#include "engine/parcel.h"

struct wbi_draft {
    struct wb_sizer sizer;   /* of what will be sent */
    size_t plain_bytes;      /* of the archive as it was written */
    bool filtered;           /* or it has not become shorter, and goes as it is */
    uint8_t *plain, *packed; /* in the draft's own memory, as the chunks */
    struct wb_chunk *chunks; /* sizer.records of them; they refer to the plain archive */
};

/* Points the writer at a draft for what `sizer` measured. NULL: no memory; the archive can still be
 * written in place. The caller ends it with free. Any thread, as all of these. */
struct wbi_draft *wbi_draft_open(const struct wb_sizer *sizer, struct wb_writer *writer);

/* Checks what the stub wrote, and filters it. WB_ERR_INVALID. */
int wbi_draft_close(struct wbi_draft *draft, struct wb_writer *writer);

/* It is to be sent as it was written. */
void wbi_draft_leave_plain(struct wbi_draft *draft);

/* Writes it to where the writer points, which the message's place was found for with draft->sizer,
 * as if it had been written there, and marks the message. */
void wbi_draft_pour(const struct wbi_draft *draft, struct wbi_outgoing *out,
                    struct wb_writer *writer);

/* Accepts NULL. */
void wbi_draft_free(struct wbi_draft *draft);

#endif
