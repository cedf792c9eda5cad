/* Memory that is the program's own: an array from malloc is lent to calls and comes back by a
 * callback, a slice of it goes along without a copy, and a large struct returns in one piece. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <waybill/waybill.h>

/* A struct of many pages, which travels as one chunk. */
struct histogram {
    uint64_t bytes;
    uint64_t counts[256 * 256]; /* of each byte behind each other */
};
WB_RMA_OBJECT_OF(struct histogram, histogram_object)

#define COUNT_IN(F) F(BUFFER, wb_buffer, text)
#define COUNT_OUT(F) F(OBJECT, histogram_object, histogram)
WB_ACTION(count, COUNT_IN, COUNT_OUT)

static int serve_count(struct wb_context *context, struct count_in *in, struct count_out *out,
                       void *user)
{
    (void)user;
    struct wb_rma_allocator *pool = wb_engine_allocator(wb_context_engine(context));
    int status = histogram_object_create(pool, &out->histogram);
    if (status != WB_OK) {
        return status; /* WB_AGAIN: we are called again when the pool has room */
    }
    struct histogram *histogram = histogram_object_get(&out->histogram);
    memset(histogram, 0, sizeof *histogram);
    histogram->bytes = in->text.len;
    const unsigned char *text = in->text.data;
    for (size_t i = 1; i < in->text.len; i++) {
        histogram->counts[text[i - 1] * 256 + text[i]]++;
    }
    return WB_OK;
}

static void check(int status, const char *what)
{
    if (status != WB_OK) {
        fprintf(stderr, "03_own_memory: %s: %s (%s)\n", what, wb_status_text(status),
                wb_last_error());
        exit(1);
    }
}

static void serve(const char *url, int ready)
{
    struct wb_engine *engine;
    check(wb_engine_create(NULL, &engine), "server");
    check(count_register(engine, serve_count, NULL), "register");
    check(wb_listen(engine, url), url);
    if (write(ready, "!", 1) != 1) {
        exit(1);
    }
    for (;;) {
        wb_wait(engine, 1000000);
    }
}

/* Nobody reads the text any more, neither here nor there. */
static void text_is_back(void *context, const void *data, size_t len)
{
    printf("%zu bytes are back.\n", len);
    free((void *)(uintptr_t)data);
    *(bool *)context = true;
}

enum { LENGTH = 1 << 20 };

/* Lends the text to two calls at once, the second half of it to the second, and keeps nothing. */
static bool call(struct wb_peer *peer)
{
    struct wb_call_options options = {.reply_bytes = sizeof(struct histogram)};
    struct count_in whole = {0}, half = {0};
    struct wb_call *calls[2];
    bool back = false;
    unsigned char *text = malloc(LENGTH);
    if (text == NULL) {
        return false;
    }
    for (size_t i = 0; i < LENGTH; i++) {
        text[i] = (unsigned char)(i % 7);
    }
    check(wb_buffer_reference(text, LENGTH, text_is_back, &back, &whole.text), "buffer");
    half.text = wb_buffer_slice(&whole.text, LENGTH / 2, LENGTH / 2);
    check(count_async(peer, &whole, &options, &calls[0]), "first call");
    check(count_async(peer, &half, &options, &calls[1]), "second call");
    count_in_drop(&whole);
    count_in_drop(&half); /* the calls have references of their own */

    uint64_t pairs = 0;
    for (size_t i = 0; i < 2; i++) {
        struct count_out out;
        check(count_finish(calls[i], &out), "count");
        const struct histogram *histogram = histogram_object_get(&out.histogram);
        printf("%llu bytes, of which a 3 stands before a 4 %llu times.\n",
               (unsigned long long)histogram->bytes,
               (unsigned long long)histogram->counts[3 * 256 + 4]);
        pairs += histogram->counts[3 * 256 + 4];
        count_out_drop(&out);
    }
    return back && pairs == LENGTH / 7 + LENGTH / 2 / 7;
}

int main(void)
{
    char url[64], byte;
    int ready[2];
    snprintf(url, sizeof url, "shm://own_memory.%ld", (long)getpid());
    if (pipe(ready) != 0) {
        return 1;
    }
    pid_t server = fork();
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        serve(url, ready[1]);
    }
    close(ready[1]);
    if (server < 0 || read(ready[0], &byte, 1) != 1) {
        return 1;
    }

    struct wb_engine *engine;
    struct wb_peer *peer;
    check(wb_engine_create(NULL, &engine), "client");
    check(wb_connect(engine, url, &peer), url);
    bool right = call(peer);
    wb_peer_close(peer);
    wb_engine_destroy(engine);
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    return right ? 0 : 1;
}
