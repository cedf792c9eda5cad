/* The preflight: what will go wrong with a URL, said before the first transfer. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <waybill/action.h>

#include "engine/clock.h"
#include "engine/engine.h"

/* A question that no server needs to know: that it does not is the answer we look for. */
#define TRIAL_IN(F) F(BYTES, wb_bytes, payload)
#define TRIAL_OUT(F) F(VALUE, u32, nothing)
WB_ACTION(waybill_preflight, TRIAL_IN, TRIAL_OUT)

enum {
    TRIAL_US = 3000000,
    TRIAL_BYTES = 6000
}; /* packets of full size, if messages may be so long */

struct check {
    wb_check_say say;
    void *context;
    int bad;
};

static void found(struct check *check, enum wb_verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void found(struct check *check, enum wb_verdict verdict, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    check->bad += verdict == WB_CHECK_BAD ? 1 : 0;
    check->say(check->context, verdict, line);
}

/* What fabrics say passes through here, to be counted. */
static void pass_on(void *context, enum wb_verdict verdict, const char *line)
{
    found(context, verdict, "%s", line);
}

static const struct wbi_fabric *fabric_of(const char *url, const char **address)
{
    const struct wbi_fabric *fabric;
    for (unsigned i = 0; (fabric = wbi_fabric_at(i)) != NULL; i++) {
        *address = wbi_url_address(url, fabric->scheme);
        if (*address != NULL) {
            return fabric;
        }
    }
    return NULL;
}

/* One call with an argument of more than a packet: it comes through, or packets of full size do
 * not. */
static void try_call(struct check *check, struct wb_peer *peer, uint32_t eager_bytes)
{
    static const uint8_t payload[TRIAL_BYTES];
    uint32_t most = eager_bytes - 128; /* beside the header */
    uint32_t len = most < TRIAL_BYTES ? most : TRIAL_BYTES;
    struct waybill_preflight_in in = {.payload = {.data = payload, .len = len}};
    struct waybill_preflight_out out;
    struct wb_call_options options = {.timeout_us = TRIAL_US, .flags = WB_CALL_COPY};
    uint64_t begin = wbi_now();
    int status = waybill_preflight_call(peer, &in, &out, &options);
    if (status == WB_ERR_UNKNOWN_ACTION) {
        found(check, WB_CHECK_GOOD, "a call with %u bytes was answered in %" PRIu64 " us", len,
              wbi_now() - begin);
    } else if (status == WB_ERR_TIMED_OUT) {
        found(check, WB_CHECK_BAD,
              "the connection stands, and a call with %u bytes is not answered: the peer makes no "
              "progress, or packets of full size are lost on the way (compare the MTU of both ends "
              "and of what is between)",
              len);
    } else {
        found(check, WB_CHECK_BAD, "a trial call ended with %s: %s", wb_status_name(status),
              wb_last_error());
    }
}

static void try_to_connect(struct check *check, const struct wb_engine_config *config,
                           const char *url)
{
    struct wb_engine *engine;
    struct wb_peer *peer = NULL;
    int status = wb_engine_create(config, &engine);
    if (status != WB_OK) {
        found(check, WB_CHECK_BAD, "no engine: %s", wb_last_error());
        return;
    }
    uint64_t begin = wbi_now();
    status = wb_connect(engine, url, &peer);
    status = status == WB_OK ? wb_peer_wait(peer, config->connect_timeout_us + TRIAL_US) : status;
    if (status == WB_OK) {
        found(check, WB_CHECK_GOOD, "connected in %" PRIu64 " us", wbi_now() - begin);
        try_call(check, peer, config->eager_bytes);
    } else {
        found(check, WB_CHECK_BAD, "no connection: %s", wb_last_error());
    }
    wb_peer_close(peer);
    wb_engine_destroy(engine);
}

int wb_check(const struct wb_engine_config *config, const char *url, wb_check_say say,
             void *context)
{
    struct check check = {.say = say, .context = context};
    struct wb_engine_config chosen;
    const char *address = NULL;
    wb_engine_config_default(&chosen);
    chosen = config != NULL ? *config : chosen;
    url = url != NULL ? url : "(null)";
    const struct wbi_fabric *fabric = fabric_of(url, &address);
    if (fabric == NULL) {
        found(&check, WB_CHECK_BAD, "%s: there is no fabric of that scheme; wb_info lists them",
              url);
        return check.bad;
    }
    if (wbi_config_check(&chosen) != WB_OK || fabric->check_address(address) != WB_OK) {
        found(&check, WB_CHECK_BAD, "%s", wb_last_error());
        return check.bad;
    }
    if (fabric->check != NULL) {
        fabric->check(&chosen, address, pass_on, &check);
    }
    if (check.bad == 0) {
        try_to_connect(&check, &chosen, url);
    }
    return check.bad;
}
