/* A large vector there and back without a copy by either program: it is scaled where it lands, and
 * returns from there. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <waybill/waybill.h>

#define SCALE_IN(F) F(VALUE, f64, factor) F(RMA, wb_rma_vector, data)
#define SCALE_OUT(F) F(VALUE, f64, sum) F(RMA, wb_rma_vector, scaled)
WB_ACTION(scale, SCALE_IN, SCALE_OUT)

enum { COUNT = 1 << 20 };

/* The vector has been read straight into this engine's pool, and is ours to change, to keep, or to
 * give back. */
static int serve_scale(struct wb_context *context, struct scale_in *in, struct scale_out *out,
                       void *user)
{
    (void)user;
    if (in->data.elem_size != sizeof(double)) {
        return wb_context_fail(context, 1, "elements of %u bytes are no doubles",
                               in->data.elem_size);
    }
    double *data = in->data.data;
    for (size_t i = 0; i < in->data.count; i++) {
        data[i] *= in->factor;
        out->sum += data[i];
    }
    out->scaled = wb_rma_vector_take(&in->data);
    return WB_OK;
}

static void check(int status, const char *what)
{
    if (status != WB_OK) {
        fprintf(stderr, "02_zero_copy: %s: %s (%s)\n", what, wb_status_text(status),
                wb_last_error());
        exit(1);
    }
}

static void serve(const char *url, int ready)
{
    struct wb_engine *engine;
    check(wb_engine_create(NULL, &engine), "server");
    check(scale_register(engine, serve_scale, NULL), "register");
    check(wb_listen(engine, url), url);
    if (write(ready, "!", 1) != 1) {
        exit(1);
    }
    for (;;) {
        wb_wait(engine, 1000000);
    }
}

/* Fills a vector of the engine's pool, has it scaled, and looks at every element of what comes
 * back. */
static bool call(struct wb_engine *engine, struct wb_peer *peer)
{
    struct scale_in in = {.factor = 2.0};
    struct scale_out out;
    check(wb_rma_vector_create(wb_engine_allocator(engine), sizeof(double), COUNT, &in.data),
          "vector");
    double *data = in.data.data;
    for (size_t i = 0; i < COUNT; i++) {
        data[i] = (double)i;
    }

    /* The result is large too, so room for it is reserved in our pool before the call is sent. */
    struct wb_call_options options = {.reply_bytes = wb_rma_vector_bytes(&in.data) + 4096};
    check(scale_call(peer, &in, &out, &options), "call");

    size_t right = 0;
    const double *scaled = out.scaled.data;
    while (right < out.scaled.count && scaled[right] == 2.0 * data[right]) {
        right++;
    }
    printf("%zu of %d elements are right; their sum is %.0f.\n", right, COUNT, out.sum);
    wb_rma_vector_drop(&in.data);
    scale_out_drop(&out);
    return right == COUNT && out.sum == (double)COUNT * (COUNT - 1);
}

int main(void)
{
    char url[64], byte;
    int ready[2];
    snprintf(url, sizeof url, "shm://zero_copy.%ld", (long)getpid());
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
    bool right = call(engine, peer);
    wb_peer_close(peer);
    wb_engine_destroy(engine);
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    return right ? 0 : 1;
}
