#include "engine/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/engine.h"
#include "engine/lane.h"

enum { REPORTED = 32, MOST_TEXT = 4096 };

/* How a kind is called, and what its figures count; NULL: it has none. */
static const struct {
    const char *name, *bytes, *chunk;
} kinds[WB_EVENT_KINDS] = {
    [WB_EVENT_CONNECTED] = {"connected", "eager_bytes", NULL},
    [WB_EVENT_LOST] = {"lost", NULL, NULL},
    [WB_EVENT_REQUEST_SENT] = {"request sent", "bytes", "records"},
    [WB_EVENT_REQUEST_CAME] = {"request came", "bytes", "records"},
    [WB_EVENT_REPLY_SENT] = {"reply sent", "bytes", "records"},
    [WB_EVENT_REPLY_CAME] = {"reply came", "bytes", "records"},
    [WB_EVENT_REPLY_LATE] = {"reply too late", "bytes", NULL},
    [WB_EVENT_CALL_ENDED] = {"call ended", NULL, NULL},
    [WB_EVENT_ERROR_SENT] = {"error sent", NULL, "code"},
    [WB_EVENT_PARKED] = {"parked", "bytes", NULL},
    [WB_EVENT_READ] = {"READ", "bytes", "chunk"},
    [WB_EVENT_READ_FAILED] = {"READ failed", "bytes", "chunk"},
    [WB_EVENT_RELEASED] = {"released", "lease", NULL},
    [WB_EVENT_WITHDRAWN] = {"withdrawn", "lease", "standing"},
    [WB_EVENT_CANCEL_SENT] = {"cancel sent", NULL, NULL},
    [WB_EVENT_CANCEL_CAME] = {"cancel came", NULL, NULL},
    [WB_EVENT_RAIL] = {"rail", NULL, "rails"},
    [WB_EVENT_RAIL_LOST] = {"rail lost", NULL, "rails"},
};

const char *wb_event_name(enum wb_event_kind kind)
{
    bool known = kind >= WB_EVENT_CONNECTED && kind < WB_EVENT_KINDS;
    return known ? kinds[kind].name : "(no kind of event)";
}

/* A text that grows, cut where its room ends. */
struct page {
    char *text;
    size_t size, needed;
};

static void add(struct page *page, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct page *page, const char *format, ...)
{
    bool fits = page->needed < page->size;
    va_list arguments;
    va_start(arguments, format);
    page->needed += (size_t)vsnprintf(fits ? page->text + page->needed : NULL,
                                      fits ? page->size - page->needed : 0, format, arguments);
    va_end(arguments);
}

static void add_event(struct page *page, const struct wb_event *event)
{
    const char *name = wb_event_name(event->kind), *bytes = NULL, *chunk = NULL;
    if (event->kind >= WB_EVENT_CONNECTED && event->kind < WB_EVENT_KINDS) {
        bytes = kinds[event->kind].bytes;
        chunk = kinds[event->kind].chunk;
    }
    add(page, "%s", event->scheme);
    if (event->lane > 0) {
        add(page, "/%" PRIu32, event->lane);
    }
    add(page, " #%" PRIu64 " at %" PRIu64 ".%06u s, turn %" PRIu32 ", peer %" PRIu32 "%s%s: %s",
        event->number, event->when_us / 1000000, (unsigned)(event->when_us % 1000000), event->turn,
        event->peer, event->peer_url[0] != '\0' ? " " : "", event->peer_url, name);
    if (event->call != 0) {
        add(page, ", call %" PRIx64, event->call);
    }
    if (event->action[0] != '\0') {
        add(page, ", action %s", event->action);
    }
    if (bytes != NULL) {
        add(page, ", %s %" PRIu64, bytes, event->bytes);
    }
    if (chunk != NULL) {
        add(page, ", %s %" PRIu32, chunk, event->chunk);
    }
    if (event->status != WB_OK) {
        add(page, ", %s", wb_status_name(event->status));
    }
}

int wb_event_text(const struct wb_event *event, char *text, size_t size)
{
    struct page page = {.text = text, .size = size};
    add_event(&page, event);
    return (int)page.needed;
}

int wb_engine_events_text(struct wb_engine *engine, unsigned most, char *text, size_t size)
{
    struct page page = {.text = text, .size = size};
    unsigned room = most < MOST_TEXT ? most : MOST_TEXT;
    struct wb_event *events = malloc((room + (size_t)1) * sizeof *events);
    if (events == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory to read %u events", room);
    }
    int count = wb_engine_events(engine, events, room);
    if (size > 0) {
        text[0] = '\0';
    }
    for (int i = 0; i < count; i++) {
        add_event(&page, &events[i]);
        add(&page, "\n");
    }
    free(events);
    return count < 0 ? count : (int)page.needed;
}

/* ---- on stderr ---- */

static const char *advice(int status)
{
    switch (status) {
    case WB_ERR_PROTOCOL:
        return "one of both ends breaks the wire format: compare their versions by wb_info, and "
               "whether that is a Waybill at all";
    case WB_ERR_REFUSED:
        return "see whether somebody listens there, and whether it has room for another peer "
               "(max_peers)";
    case WB_ERR_VERSION:
        return "both ends need a library that speaks the other's wire version";
    case WB_ERR_TIMED_OUT:
        return "wb_ping from here says how far it gets; connect_timeout_us is how long it may take";
    case WB_ERR_NO_MEMORY:
        return "this process has no memory or descriptors left: ulimit -a, and free";
    case WB_ERR_PEER_LOST:
        return "see whether its process and host are alive (wb_ping), and connect anew; calls that "
               "had been sent may have been executed";
    default:
        return "wb_ping says whether it can be reached now; connect anew";
    }
}

void wbi_report(const struct wb_peer *peer)
{
    const struct wbi_lane *lane = peer->lane;
    uint64_t written = wbi_ring_written(&lane->events.log);
    uint64_t number = written > REPORTED ? written - REPORTED : 0;
    struct wb_event event;
    char line[512];
    flockfile(stderr);
    fprintf(stderr, "waybill: peer %" PRIu32 " is lost (%s): %s\nwaybill: advice: %s\n",
            peer->number, wb_status_name(peer->status), peer->reason, advice(peer->status));
    for (; number < written; number++) {
        if (wbi_event_read(lane, number, &event)) {
            wb_event_text(&event, line, sizeof line);
            fprintf(stderr, "waybill:   %s\n", line);
        }
    }
    funlockfile(stderr);
}

void wbi_report_rail(const struct wb_peer *peer, int status, const char *words)
{
    fprintf(stderr,
            "waybill: a rail of peer %" PRIu32 " %s is lost (%s): %s; its chunks go the ways that "
            "are left\n",
            peer->number, peer->url, wb_status_name(status), words);
}
