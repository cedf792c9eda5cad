#include "tests/fuzz/parcel.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/bundle.h"
#include "engine/engine.h"
#include "engine/filter.h"
#include "engine/lane.h"
#include "engine/wire.h"
#include "mr_cache/allocator.h"
#include "tests/fuzz/actions.h"
#include "tests/fuzz/script.h"
#include "tests/fuzz/store.h"
#include "tests/fuzz/tape.h"

enum { CALLS = 16, STEPS = 64, PATIENCE = 20000, LOOK_TURNS = 12, PIECE_BYTES = 1000000 };

static struct {
    struct wb_engine *engine;
    struct wb_peer *server; /* the engine's, of the stranger that it connects to; or NULL */
    struct wb_call *calls[CALLS];
    bool call_is_sum[CALLS];
    unsigned call_count;
    uint64_t asked; /* sums of the friend's */
} scene;

/* A bundle that is being put together. */
static struct {
    bool open, whole; /* whole: its first parcel is all of it */
    enum tape_end end;
    unsigned left;
    size_t early, len;
    uint8_t bytes[TAPE_EAGER];
} bundle;

/* ---- the engine ---- */

static int on_all(struct wb_context *context, struct all_in *in, struct all_out *out, void *user)
{
    (void)context;
    (void)user;
    /* the lists are the same, and so are the structs but for what holds the views */
    memcpy(out, in, offsetof(struct all_out, hold));
    memset(in, 0, offsetof(struct all_in, hold));
    return WB_OK;
}

static int on_never(struct wb_context *context, struct never_in *in, struct never_out *out,
                    void *user)
{
    (void)context;
    (void)in;
    (void)out;
    (void)user;
    return WB_AGAIN;
}

static int on_sum(struct wb_context *context, struct sum_in *in, struct sum_out *out, void *user)
{
    (void)user;
    out->sum = in->a + in->b;
    return in->a == 0 ? wb_context_fail(context, 7, "no sum") : WB_OK;
}

static void good_hello(struct wbi_hello *hello)
{
    *hello = (struct wbi_hello){.version_min = 1,
                                .version_max = 1,
                                .eager_bytes = TAPE_EAGER,
                                .credits = 8,
                                .read_depth = 4,
                                .features = WBI_FEATURE_BUNDLES,
                                .engine_id = 5,
                                .token = 7};
}

static void ask_well(enum tape_end end)
{
    struct wbi_hello hello;
    uint8_t bytes[WBI_HELLO_BYTES];
    good_hello(&hello);
    wbi_hello_encode(&hello, bytes);
    tape_ask(end, bytes, sizeof bytes);
}

static void turn(unsigned turns)
{
    for (unsigned i = 0; i < turns; i++) {
        wb_progress(scene.engine);
    }
}

/* All of the budget, at once: what lands then waits for no other thread, as a rule. */
static void grow(void)
{
    enum { PIECES = 8 };
    struct wb_rma_block *blocks[PIECES];
    unsigned count = 0;
    while (count < PIECES && wbi_rma_alloc(wb_engine_allocator(scene.engine), PIECE_BYTES, true,
                                           &blocks[count]) == WB_OK) {
        count++;
    }
    while (count > 0) {
        wbi_rma_block_unref(blocks[--count]);
    }
}

static void open_scene(void)
{
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    config.budget_bytes = 8 << 20;
    config.slab_bytes = 2 << 20;
    config.eager_bytes = TAPE_EAGER;
    config.max_calls = CALLS;
    config.credits = 8;
    config.max_peers = 8;
    config.pages = WB_PAGES_SMALL;
    config.filter = wbi_filter_is_here(WB_FILTER_LZ4) ? WB_FILTER_LZ4 : WB_FILTER_NONE;
    config.filter_from = 64;
    fuzz_check(wb_engine_create(&config, &scene.engine) == WB_OK, "%s", wb_last_error());
    fuzz_check(all_register(scene.engine, on_all, NULL) == WB_OK &&
                   never_register(scene.engine, on_never, NULL) == WB_OK &&
                   sum_register(scene.engine, on_sum, NULL) == WB_OK,
               "%s", wb_last_error());
    grow();
    ask_well(TAPE_FRIEND);
    turn(2);
    fuzz_check(tape_is_open(TAPE_FRIEND), "the friend is not let in");
}

/* ---- steps ---- */

static void call_server(uint8_t what)
{
    static char text[5000];
    struct wb_call_options options = {.timeout_us = 100000,
                                      .reply_bytes = (what & 2) != 0 ? 50000 : 0,
                                      .flags = (what & 4) != 0 ? WB_CALL_COPY : 0};
    struct wb_call **call = &scene.calls[scene.call_count];
    struct sum_in sum = {.a = what, .b = 1};
    struct all_in all = {.paint = RED, .words = {.text = {.data = text, .len = what * 18u}}};
    if (scene.server == NULL || scene.call_count == CALLS) {
        return;
    }
    scene.call_is_sum[scene.call_count] = what % 2 == 0;
    if ((what & 8) != 0) {
        (void)wb_rma_vector_create(wb_engine_allocator(scene.engine), 4, what * 10u,
                                   &all.handles.vector);
        if (all.handles.vector.data != NULL) {
            memset(all.handles.vector.data, 0, wb_rma_vector_bytes(&all.handles.vector));
        }
    }
    int status = what % 2 == 0 ? sum_async(scene.server, &sum, &options, call)
                               : all_async(scene.server, &all, &options, call);
    scene.call_count += status == WB_OK;
    all_in_drop(&all);
}

/* Writes what only the engine knows into a message, where there is room for it. */
static void patch(uint8_t *bytes, size_t len, size_t at, uint64_t id)
{
    if (at + WBI_ID_BYTES <= len) {
        wbi_id_encode(id, bytes + at);
    }
}

static void begin_bundle(const struct fuzz_step *step, enum tape_end end)
{
    bundle.open = true;
    bundle.end = end;
    bundle.left = step->byte % 32;
    bundle.whole = bundle.left == 0;
    bundle.early = step->byte / 32;
    bundle.len = 0;
}

static void end_bundle(void)
{
    size_t early = bundle.early < bundle.len ? bundle.early : bundle.len;
    bundle.open = false;
    tape_say_bundle(bundle.end, bundle.bytes, bundle.len - early);
}

/* Into the bundle, as far as there is room. */
static void add_to_bundle(const uint8_t *bytes, size_t len)
{
    size_t frame = bundle.whole ? 0 : WBI_BUNDLE_FRAME;
    size_t at = wbi_bundle_next(bundle.len) + frame;
    if (at + len <= TAPE_EAGER) {
        memset(bundle.bytes + bundle.len, 0, at - bundle.len);
        if (frame != 0) {
            wbi_bundle_put_frame(bundle.bytes + at - frame, len);
        }
        memcpy(bundle.bytes + at, bytes, len);
        bundle.len = at + len;
    }
    if (bundle.whole || --bundle.left == 0) {
        end_bundle();
    }
}

static void say(const struct fuzz_step *step, enum tape_end end)
{
    struct wb_action *const actions[] = {&all_action, &never_action, &sum_action};
    struct wb_action *action = actions[step->byte % 3];
    uint8_t bytes[TAPE_EAGER];
    size_t len = step->len < TAPE_EAGER ? step->len : TAPE_EAGER;
    const struct tape_heard *heard = tape_heard(end);
    memcpy(bytes, step->bytes, len);
    if (step->kind == FUZZ_REQUEST) {
        patch(bytes, len, 16, atomic_load(&action->id));
        patch(bytes, len, 24, atomic_load(&action->signature));
    } else if (step->kind == FUZZ_REPLY) {
        patch(bytes, len, 8, heard->call_id);
    } else if (step->kind == FUZZ_CONTROL && len > 4 && bytes[4] > 0) {
        patch(bytes, len, WBI_CONTROL_BYTES, heard->lease_id);
    }
    if (bundle.open && bundle.end == end) {
        add_to_bundle(bytes, len);
    } else {
        tape_say(end, bytes, len);
    }
}

static void greet(const struct fuzz_step *step, bool repeats_token)
{
    uint8_t bytes[WBI_HELLO_MAX];
    size_t len = step->len < WBI_HELLO_MAX ? step->len : WBI_HELLO_MAX;
    memcpy(bytes, step->bytes, len);
    if (!step->of_server) {
        tape_ask(TAPE_CALLER, bytes, len);
        return;
    }
    struct wbi_hello mine, theirs;
    if (scene.server != NULL && wb_peer_state(scene.server) == WB_PEER_LOST) {
        wb_peer_close(scene.server);
        scene.server = NULL;
        turn(1);
    }
    if (scene.server == NULL && wb_connect(scene.engine, "shm://tape", &scene.server) != WB_OK) {
        return;
    }
    bool known = wbi_hello_decode(bytes, len, &mine) == WB_OK &&
                 wbi_hello_decode(tape_hello(), WBI_HELLO_BYTES, &theirs) == WB_OK;
    if (repeats_token && known) {
        mine.token = theirs.token;
        wbi_hello_encode(&mine, bytes);
    }
    if (tape_is_open(TAPE_SERVER)) {
        tape_answer(bytes, len);
    }
}

static void take_step(const struct fuzz_step *step)
{
    enum tape_end end = step->of_server ? TAPE_SERVER : TAPE_CALLER;
    if (bundle.open && step->kind > FUZZ_CONTROL) {
        end_bundle();
    }
    switch (step->kind) {
    case FUZZ_BUNDLE:
        begin_bundle(step, end);
        break;
    case FUZZ_HELLO:
        greet(step, step->byte % 4 != 3);
        break;
    case FUZZ_LOSE:
        tape_lose(end, WB_ERR_PEER_LOST, NULL, 0);
        break;
    case FUZZ_LAY:
        tape_lay(step->bytes, step->len);
        break;
    case FUZZ_TURN:
        turn(step->byte % 8);
        break;
    case FUZZ_PASS:
        tape_pass_us((uint64_t)1 << step->byte % 25);
        turn(LOOK_TURNS);
        break;
    case FUZZ_DEAF:
        tape_deafen(end, step->byte % 2 != 0);
        break;
    case FUZZ_CALL:
        call_server(step->byte);
        turn(1);
        break;
    default:
        say(step, end);
        break;
    }
}

/* ---- an input ---- */

static void finish_calls(void)
{
    for (unsigned i = 0; i < scene.call_count; i++) {
        struct all_out all;
        struct sum_out sum;
        fuzz_check(wb_call_done(scene.calls[i]), "call %u has not ended with its channel", i);
        if (scene.call_is_sum[i]) {
            (void)sum_finish(scene.calls[i], &sum);
            sum_out_drop(&sum);
        } else {
            (void)all_finish(scene.calls[i], &all);
            all_out_drop(&all);
        }
    }
    scene.call_count = 0;
}

/* What is still held, in words; NULL: nothing. */
static const char *unquiet(void)
{
    static char words[200];
    struct wb_engine_stats engine;
    struct wb_rma_stats pool;
    wb_engine_stats(scene.engine, &engine);
    wb_rma_allocator_stats(wb_engine_allocator(scene.engine), &pool);
    if (engine.calls_begun == engine.calls_ended && engine.leases_open == 0 && pool.blocks == 0 &&
        pool.leased_bytes == 0 && !tape_is_open(TAPE_CALLER) && !tape_is_open(TAPE_SERVER)) {
        return NULL;
    }
    (void)snprintf(words, sizeof words,
                   "%" PRIu64 " of %" PRIu64 " calls ended, %" PRIu64 " leases, %" PRIu64
                   " blocks, %" PRIu64 " bytes leased",
                   engine.calls_ended, engine.calls_begun, engine.leases_open, pool.blocks,
                   pool.leased_bytes);
    return words;
}

static void hang_up(void)
{
    tape_lose(TAPE_CALLER, WB_ERR_PEER_LOST, NULL, 0);
    tape_lose(TAPE_SERVER, WB_ERR_PEER_LOST, NULL, 0);
    turn(3);
    if (scene.server != NULL) {
        wb_peer_close(scene.server);
        scene.server = NULL;
    }
    turn(2);
    finish_calls();
    unsigned left = PATIENCE;
    while (unquiet() != NULL && --left > 0) { /* the pool's thread may be at work */
        turn(1);
        if (left < PATIENCE - 100) {
            usleep(100);
        }
    }
    fuzz_check(left > 0, "not quiet: %s", unquiet());
}

static void expect_served(void)
{
    struct wbi_header header = {.kind = WBI_REQUEST,
                                .call_id = ++scene.asked,
                                .action = atomic_load(&sum_action.id),
                                .signature = atomic_load(&sum_action.signature)};
    uint64_t numbers[2] = {scene.asked, 3}, sum = scene.asked + 3;
    uint8_t bytes[WBI_REQUEST_BYTES + sizeof numbers];
    const struct tape_heard *heard = tape_heard(TAPE_FRIEND);
    size_t len = wbi_header_encode(&header, bytes);
    unsigned before = heard->count;
    memcpy(bytes + len, numbers, sizeof numbers);
    tape_say(TAPE_FRIEND, bytes, sizeof bytes);
    turn(2);
    fuzz_check(heard->count == before + 1 && heard->last[0] == WBI_REPLY &&
                   wbi_id_decode(heard->last + 8) == scene.asked &&
                   heard->len == WBI_REPLY_BYTES + sizeof sum &&
                   memcmp(heard->last + WBI_REPLY_BYTES, &sum, sizeof sum) == 0,
               "the engine does not serve its friend");
}

void fuzz_parcel_try(const uint8_t *data, size_t size)
{
    struct fuzz_step step = {.of_server = true};
    struct wbi_hello hello;
    uint8_t bytes[WBI_HELLO_BYTES];
    size_t at = 0;
    if (scene.engine == NULL) {
        open_scene();
    }
    good_hello(&hello);
    wbi_hello_encode(&hello, bytes);
    step.bytes = bytes;
    step.len = sizeof bytes;
    ask_well(TAPE_CALLER);
    greet(&step, true);
    turn(1);
    tape_lay(NULL, 0);
    for (unsigned i = 0; i < STEPS && fuzz_step_next(data, size, &at, &step); i++) {
        take_step(&step);
    }
    if (bundle.open) {
        end_bundle();
    }
    turn(2);
    hang_up();
    expect_served();
}
