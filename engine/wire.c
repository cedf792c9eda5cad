#include "engine/wire.h"

#include <string.h>
#include <waybill/status.h>
#include <waybill/version.h>

#include "serial/chunk_list.h"

static const uint32_t hello_magic = 0x4c594257; /* "WBYL" */

static void get_reply(const uint8_t *m, struct wbi_header *h)
{
    *h = (struct wbi_header){.kind = WBI_REPLY,
                             .flags = m[1],
                             .credits = wbi_get16(m + 2),
                             .chunk_count = wbi_get32(m + 4),
                             .call_id = wbi_get64(m + 8),
                             .status = (int32_t)wbi_get32(m + 16),
                             .code = (int32_t)wbi_get32(m + 20),
                             .release_count = wbi_get32(m + 24)};
}

static void get_control(const uint8_t *m, struct wbi_header *h)
{
    *h = (struct wbi_header){.kind = WBI_CONTROL,
                             .flags = m[1],
                             .credits = wbi_get16(m + 2),
                             .release_count = wbi_get32(m + 4),
                             .cancel_count = wbi_get32(m + 8)};
}

/* Bytes that must be on board behind the header, going by the header alone. */
static uint64_t on_board_min(const struct wbi_header *h)
{
    uint64_t ids =
        (uint64_t)h->release_count + h->cancel_count + ((h->flags & WBI_FLAG_LEASED) ? 1u : 0u);
    uint64_t records = ((h->flags & WBI_FLAG_LONG_ARCHIVE) ? 1u : 0u) +
                       ((h->flags & WBI_FLAG_LONG_LIST) ? 1u : 0u);
    if ((h->flags & WBI_FLAG_LONG_LIST) == 0) {
        records += h->chunk_count;
    }
    return ids * WBI_ID_BYTES + records * WBI_CHUNK_RECORD_MIN;
}

static const char *fault_of(const struct wbi_header *h, const uint8_t *message, size_t len)
{
    uint8_t leased = WBI_FLAG_LEASED;
    uint8_t needs_lease = WBI_FLAG_LONG_ARCHIVE | WBI_FLAG_LONG_LIST;
    if ((h->flags & (uint8_t)~WBI_FLAGS_KNOWN) != 0) {
        return "an unknown flag is set";
    }
    if (h->kind == WBI_CONTROL && (h->flags != 0 || wbi_get32(message + 12) != 0)) {
        return "a control message with flags or a reserved field set";
    }
    if (h->kind == WBI_REPLY &&
        (wbi_get32(message + 28) != 0 || (h->flags & (WBI_FLAG_COPY | WBI_FLAG_ONE_WAY)) != 0)) {
        return "a reply with a request's flag or a reserved field set";
    }
    if (((h->flags & needs_lease) != 0 || h->chunk_count > 0) != ((h->flags & leased) != 0)) {
        return "chunks without a lease, or a lease without chunks";
    }
    if ((h->flags & WBI_FLAG_LONG_LIST) != 0 && h->chunk_count == 0) {
        return "a long chunk list without chunks";
    }
    if (on_board_min(h) > len - wbi_header_bytes(h->kind)) {
        return "more ids or records are stated than the message holds";
    }
    if (h->kind == WBI_CONTROL && on_board_min(h) != len - WBI_CONTROL_BYTES) {
        return "a control message with more than its ids";
    }
    uint8_t results = WBI_FLAG_LEASED | WBI_FLAG_FILTERED;
    if (h->kind == WBI_REPLY && (h->status > 0 || (h->status != 0 && (h->flags & results) != 0))) {
        return "a reply with a status that no reply has";
    }
    return NULL;
}

int wbi_header_decode(const uint8_t *message, size_t len, struct wbi_header *header,
                      const char **what)
{
    size_t bytes = len > 0 ? wbi_header_bytes(message[0]) : 0;
    if (bytes == 0 || len < bytes) {
        *what = bytes == 0 ? "a message of unknown kind" : "a message shorter than its header";
        return WB_ERR_PROTOCOL;
    }
    if (message[0] == WBI_REQUEST) {
        wbi_request_decode(message, header);
        if (wbi_request_is_plain(message)) {
            return WB_OK;
        }
    } else if (message[0] == WBI_REPLY) {
        get_reply(message, header);
    } else {
        get_control(message, header);
    }
    *what = fault_of(header, message, len);
    return *what == NULL ? WB_OK : WB_ERR_PROTOCOL;
}

void wbi_hello_encode(const struct wbi_hello *hello, uint8_t out[WBI_HELLO_BYTES])
{
    memset(out, 0, WBI_HELLO_BYTES);
    wbi_put32(out, hello_magic);
    out[4] = hello->version_min;
    out[5] = hello->version_max;
    out[6] = (uint8_t)hello->status;
    wbi_put32(out + 8, hello->eager_bytes);
    wbi_put32(out + 12, hello->credits);
    wbi_put32(out + 16, hello->read_depth);
    wbi_put64(out + 24, hello->features);
    wbi_put64(out + 32, hello->engine_id);
    wbi_put64(out + 40, hello->token);
}

int wbi_hello_decode(const uint8_t *bytes, size_t len, struct wbi_hello *hello)
{
    if (len < WBI_HELLO_BYTES || wbi_get32(bytes) != hello_magic) {
        return WB_ERR_PROTOCOL;
    }
    *hello = (struct wbi_hello){.version_min = bytes[4],
                                .version_max = bytes[5],
                                .status = (int8_t)bytes[6],
                                .eager_bytes = wbi_get32(bytes + 8),
                                .credits = wbi_get32(bytes + 12),
                                .read_depth = wbi_get32(bytes + 16),
                                .features = wbi_get64(bytes + 24),
                                .engine_id = wbi_get64(bytes + 32),
                                .token = wbi_get64(bytes + 40)};
    if (hello->version_min > WB_WIRE_VERSION_MAX || hello->version_max < WB_WIRE_VERSION_MIN) {
        return WB_ERR_VERSION;
    }
    return hello->eager_bytes >= WBI_EAGER_MIN ? WB_OK : WB_ERR_PROTOCOL;
}
