#include "tests/fuzz/tape.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/fabric.h"
#include "engine/wire.h"
#include "mr_cache/poison.h"
#include "tests/fuzz/store.h"

enum { EVENTS = 64, READ_DEPTH = 4 };

struct wbi_mr {
    int unused;
};

struct wbi_channel {
    void *owner;
    bool open, lost, deaf, bundles;
    struct wbi_read *reads, **reads_tail;
    unsigned read_count;
};

struct wbi_request {
    enum tape_end end;
};

enum event_kind { ASKED, ANSWERED, SAID, SAID_AS_BUNDLE, LOST };

struct event {
    enum event_kind kind;
    enum tape_end end;
    int status;
    size_t len;
    uint8_t *bytes; /* of just that size */
};

/* All there is: one lane of one engine. */
static struct {
    const struct wbi_fabric_events *events;
    void *owner;
    int fd;
    struct wbi_channel channels[TAPE_ENDS];
    struct tape_heard heard[TAPE_ENDS];
    struct event queue[EVENTS];
    unsigned queue_first, queue_count;
    const uint8_t *memory;
    size_t memory_len;
    uint8_t hello[WBI_HELLO_MAX];
    uint8_t slot[TAPE_EAGER];
    uint32_t keys;
} tape;

/* ---- the peer's side ---- */

static void put_on(struct event event, const void *bytes)
{
    fuzz_check(tape.queue_count < EVENTS, "the tape is full");
    event.bytes = malloc(event.len > 0 ? event.len : 1);
    fuzz_check(event.bytes != NULL, "no memory");
    if (event.len > 0) {
        memcpy(event.bytes, bytes, event.len);
    }
    tape.queue[(tape.queue_first + tape.queue_count++) % EVENTS] = event;
}

void tape_ask(enum tape_end end, const void *hello, size_t len)
{
    put_on((struct event){.kind = ASKED, .end = end, .len = len}, hello);
}

void tape_answer(const void *hello, size_t len)
{
    put_on((struct event){.kind = ANSWERED, .end = TAPE_SERVER, .len = len}, hello);
}

void tape_say(enum tape_end end, const void *bytes, size_t len)
{
    put_on((struct event){.kind = SAID, .end = end, .len = len}, bytes);
}

void tape_say_bundle(enum tape_end end, const void *bytes, size_t len)
{
    put_on((struct event){.kind = SAID_AS_BUNDLE, .end = end, .len = len}, bytes);
}

void tape_lose(enum tape_end end, int status, const void *hello, size_t len)
{
    put_on((struct event){.kind = LOST, .end = end, .status = status, .len = len}, hello);
}

bool tape_is_open(enum tape_end end)
{
    return tape.channels[end].open;
}

void tape_deafen(enum tape_end end, bool deaf)
{
    tape.channels[end].deaf = deaf;
}

void tape_lay(const uint8_t *bytes, size_t len)
{
    tape.memory = bytes;
    tape.memory_len = len;
}

const uint8_t *tape_hello(void)
{
    return tape.hello;
}

struct tape_heard *tape_heard(enum tape_end end)
{
    return &tape.heard[end];
}

/* ---- domain and lane ---- */

static void describe(struct wb_fabric_info *info)
{
    (void)info;
}

static int domain_open(const struct wb_engine_config *config, struct wbi_domain **out)
{
    (void)config;
    *out = (struct wbi_domain *)&tape;
    return WB_OK;
}

static void domain_close(struct wbi_domain *domain)
{
    (void)domain;
}

static const struct wbi_fabric_caps *caps_of(const struct wbi_domain *domain)
{
    static const struct wbi_fabric_caps caps = {.max_eager_bytes = TAPE_EAGER,
                                                .read_depth = READ_DEPTH,
                                                .max_read_bytes = 65536,
                                                .read_align = 1,
                                                .key_bytes = TAPE_KEY,
                                                .max_offers = 256,
                                                .slot_sets = 1,
                                                .revokes_at_once = true};
    (void)domain;
    return &caps;
}

static int reg(void *context, const struct wbi_region *region, struct wbi_mr **mr)
{
    static struct wbi_mr all;
    (void)context;
    (void)region;
    *mr = &all;
    return WB_OK;
}

static void dereg(void *context, struct wbi_mr *mr, void (*confirmed)(void *argument),
                  void *argument)
{
    (void)context;
    (void)mr;
    confirmed(argument);
}

static struct wbi_registrar registrar(struct wbi_domain *domain)
{
    (void)domain;
    return (struct wbi_registrar){.reg = reg, .dereg = dereg};
}

static int lane_open(struct wbi_domain *domain, const struct wbi_lane_config *config,
                     const struct wbi_fabric_events *events, void *lane_owner,
                     struct wbi_fabric_lane **out)
{
    (void)domain;
    (void)config;
    tape.events = events;
    tape.owner = lane_owner;
    tape.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    *out = (struct wbi_fabric_lane *)&tape;
    return tape.fd >= 0 ? WB_OK : WB_ERR_SYSTEM;
}

static void lane_close(struct wbi_fabric_lane *lane)
{
    (void)lane;
    (void)close(tape.fd);
}

static int check_address(const char *address)
{
    (void)address;
    return WB_OK;
}

static int listen_at(struct wbi_fabric_lane *lane, const char *address)
{
    (void)lane;
    (void)address;
    return WB_OK;
}

/* ---- channels ---- */

static struct wbi_channel *open_channel(enum tape_end end, void *owner)
{
    struct wbi_channel *channel = &tape.channels[end];
    *channel = (struct wbi_channel){.owner = owner, .open = true};
    channel->reads_tail = &channel->reads;
    tape.heard[end] = (struct tape_heard){0};
    return channel;
}

static int connect_to(struct wbi_fabric_lane *lane, const char *address, const void *hello,
                      size_t hello_len, void *channel_owner, struct wbi_channel **out)
{
    (void)lane;
    (void)address;
    if (tape.channels[TAPE_SERVER].open) {
        return WB_ERR_REFUSED;
    }
    memcpy(tape.hello, hello, hello_len);
    *out = open_channel(TAPE_SERVER, channel_owner);
    return WB_OK;
}

static int accept_one(struct wbi_request *request, const void *hello, size_t hello_len,
                      void *channel_owner, struct wbi_channel **out)
{
    (void)hello;
    (void)hello_len;
    *out = open_channel(request->end, channel_owner);
    return WB_OK;
}

static void reject(struct wbi_request *request, const void *hello, size_t hello_len)
{
    (void)request;
    (void)hello;
    (void)hello_len;
}

static void end_read(struct wbi_channel *channel, int status)
{
    struct wbi_read *read = channel->reads;
    channel->reads = read->next;
    if (channel->reads == NULL) {
        channel->reads_tail = &channel->reads;
    }
    channel->read_count--;
    read->done(read, status);
}

static void close_channel(struct wbi_channel *channel)
{
    while (channel != NULL && channel->reads != NULL) {
        end_read(channel, WB_ERR_PEER_LOST);
    }
    if (channel != NULL) {
        channel->open = false;
    }
}

static int reserve(struct wbi_channel *channel, size_t bytes, bool control, uint8_t **slot)
{
    (void)control;
    fuzz_check(bytes <= TAPE_EAGER, "a message of %zu bytes", bytes);
    if (channel->deaf) {
        return WB_AGAIN;
    }
    *slot = tape.slot;
    return WB_OK;
}

/* The engine's own messages are right, whatever it was told. */
static void send_one(struct wbi_channel *channel, size_t bytes)
{
    struct tape_heard *heard = &tape.heard[channel - tape.channels];
    struct wbi_header header;
    const char *what;
    fuzz_check(wbi_header_decode(tape.slot, bytes, &header, &what) == WB_OK, "it sends what %s",
               what);
    heard->count++;
    heard->len = bytes;
    memcpy(heard->last, tape.slot, bytes);
    if (header.kind == WBI_REQUEST) {
        heard->call_id = header.call_id;
    }
    if ((header.flags & WBI_FLAG_LEASED) != 0) {
        heard->lease_id = wbi_id_decode(tape.slot + wbi_header_bytes(header.kind));
    }
}

static void cancel(struct wbi_channel *channel)
{
    (void)channel;
}

static void bundle(struct wbi_channel *channel, size_t most)
{
    (void)most;
    channel->bundles = true;
}

static int offer(struct wbi_channel *channel, struct wbi_offer *offered)
{
    (void)channel;
    tape.keys++;
    memcpy(offered->key, &tape.keys, sizeof tape.keys);
    offered->key_len = TAPE_KEY;
    offered->address = (uintptr_t)offered->data;
    return WB_OK;
}

static void retire(struct wbi_channel *channel, struct wbi_offer *offered)
{
    (void)channel;
    (void)offered;
}

static int take_back(struct wbi_channel *channel, struct wbi_offer *offered)
{
    (void)channel;
    (void)offered;
    return WB_OK;
}

static int read_range(struct wbi_channel *channel, struct wbi_read *read)
{
    if (read->key_len > 0 && read->key[0] == TAPE_KEY_FOREIGN) {
        return WB_ERR_PROTOCOL;
    }
    if (channel->read_count == READ_DEPTH) {
        return WB_AGAIN;
    }
    read->next = NULL;
    *channel->reads_tail = read;
    channel->reads_tail = &read->next;
    channel->read_count++;
    return WB_OK;
}

/* ---- poll ---- */

static void serve_read(struct wbi_channel *channel)
{
    struct wbi_read *read = channel->reads;
    uint8_t *into = read->into;
    if (read->key[0] == TAPE_KEY_REVOKED) {
        end_read(channel, WB_ERR_REVOKED);
        return;
    }
    memset(into, 0, read->len);
    for (uint64_t i = 0; i < read->len && i < tape.memory_len; i++) {
        into[i] = tape.memory[(read->address % tape.memory_len + i) % tape.memory_len];
    }
    end_read(channel, WB_OK);
}

static int serve_reads(void)
{
    int done = 0;
    for (unsigned end = 0; end < TAPE_ENDS; end++) {
        struct wbi_channel *channel = &tape.channels[end];
        while (channel->reads != NULL && channel->reads->key[0] != TAPE_KEY_STUCK) {
            serve_read(channel);
            done++;
        }
    }
    return done;
}

/* False: the engine has no slot for it now. */
static bool deliver(struct wbi_channel *channel, const struct event *event)
{
    uint8_t *slot = tape.events->take_slot(tape.owner);
    if (slot == NULL) {
        return false;
    }
    wbi_unpoison(slot, TAPE_EAGER);
    memcpy(slot, event->bytes, event->len);
    size_t used = event->len > 8 ? event->len : 8; /* a free slot's first bytes are its link */
    wbi_poison(slot + used, TAPE_EAGER - used);
    if (event->kind == SAID) {
        if (!tape.events->on_message(channel->owner, slot, event->len)) {
            tape.events->return_slot(tape.owner, slot);
        }
    } else {
        tape.events->on_bundle(channel->owner, slot, event->len);
    }
    return true;
}

static bool happen(const struct event *event)
{
    struct wbi_channel *channel = &tape.channels[event->end];
    struct wbi_request request = {.end = event->end};
    if (event->kind == ASKED) {
        if (!channel->open) {
            tape.events->home(tape.owner);
            tape.events->on_request(tape.owner, &request, event->bytes, event->len);
        }
        return true;
    }
    if (!channel->open || channel->lost) {
        return true;
    }
    switch (event->kind) {
    case ANSWERED:
        tape.events->on_connected(channel->owner, event->bytes, event->len);
        return true;
    case SAID:
        return deliver(channel, event);
    case SAID_AS_BUNDLE: /* where nobody has agreed on them, a fabric lets none through */
        return !channel->bundles || deliver(channel, event);
    default:
        channel->lost = true;
        tape.events->on_lost(channel->owner, event->status, "is gone", event->bytes, event->len);
        return true;
    }
}

/* What is on the tape when it begins, and the READs. */
static int poll_lane(struct wbi_fabric_lane *lane)
{
    (void)lane;
    int done = 0;
    for (unsigned left = tape.queue_count; left > 0; left--) {
        struct event event = tape.queue[tape.queue_first];
        if (!happen(&event)) {
            break;
        }
        free(event.bytes);
        tape.queue_first = (tape.queue_first + 1) % EVENTS;
        tape.queue_count--;
        done++;
    }
    return done + serve_reads();
}

static int arm(struct wbi_fabric_lane *lane)
{
    (void)lane;
    return WB_AGAIN;
}

static int fd_of(const struct wbi_fabric_lane *lane)
{
    (void)lane;
    return tape.fd;
}

static void wake(struct wbi_fabric_lane *lane)
{
    (void)lane;
}

const struct wbi_fabric wbi_shm_fabric = {.scheme = "shm",
                                          .describe = describe,
                                          .domain_open = domain_open,
                                          .domain_close = domain_close,
                                          .caps = caps_of,
                                          .registrar = registrar,
                                          .lane_open = lane_open,
                                          .lane_close = lane_close,
                                          .check_address = check_address,
                                          .listen = listen_at,
                                          .connect = connect_to,
                                          .accept = accept_one,
                                          .reject = reject,
                                          .close = close_channel,
                                          .reserve = reserve,
                                          .send = send_one,
                                          .cancel = cancel,
                                          .bundle = bundle,
                                          .offer = offer,
                                          .retire = retire,
                                          .revoke = take_back,
                                          .read = read_range,
                                          .poll = poll_lane,
                                          .arm = arm,
                                          .fd = fd_of,
                                          .wake = wake};

static int no_domain(const struct wb_engine_config *config, struct wbi_domain **out)
{
    (void)config;
    (void)out;
    return wbi_error(WB_ERR_NO_FABRIC, "there is the tape alone");
}

const struct wbi_fabric wbi_verbs_fabric = {.scheme = "verbs", .domain_open = no_domain};
