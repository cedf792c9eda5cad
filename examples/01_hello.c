/* A first call: one process serves `hello`, another one calls it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <waybill/waybill.h>

/* An action is a name and two lists of fields: what goes there, and what comes back. */
#define HELLO_IN(F) F(STRING, wb_str, name) F(VALUE, i32, year)
#define HELLO_OUT(F) F(STRING, wb_str, greeting) F(VALUE, i32, next_year)
WB_ACTION(hello, HELLO_IN, HELLO_OUT)

/* The handler runs in the server. The name is a view into the message; the greeting is copied when
 * we return. */
static int serve_hello(struct wb_context *context, struct hello_in *in, struct hello_out *out,
                       void *user)
{
    (void)context;
    char *greeting = user;
    snprintf(greeting, 100, "Hello, %.*s!", WB_STR_ARG(in->name));
    out->greeting = wb_str_of(greeting);
    out->next_year = in->year + 1;
    return WB_OK;
}

static void check(int status, const char *what)
{
    if (status != WB_OK) {
        fprintf(stderr, "01_hello: %s: %s (%s)\n", what, wb_status_text(status), wb_last_error());
        exit(1);
    }
}

/* Serves until it is killed; says through the pipe when it listens. */
static void serve(const char *url, int ready)
{
    char greeting[100];
    struct wb_engine *engine;
    check(wb_engine_create(NULL, &engine), "server");
    check(hello_register(engine, serve_hello, greeting), "register");
    check(wb_listen(engine, url), url);
    if (write(ready, "!", 1) != 1) {
        exit(1);
    }
    for (;;) {
        wb_wait(engine, 1000000); /* handlers run in here */
    }
}

int main(void)
{
    char url[64], byte;
    int ready[2];
    snprintf(url, sizeof url, "shm://hello.%ld", (long)getpid());
    if (pipe(ready) != 0) {
        return 1;
    }
    pid_t server = fork();
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* it does not outlive us */
        serve(url, ready[1]);
    }
    close(ready[1]);
    if (server < 0 || read(ready[0], &byte, 1) != 1) {
        return 1; /* the server has said why */
    }

    struct wb_engine *engine;
    struct wb_peer *peer;
    check(wb_engine_create(NULL, &engine), "client");
    check(wb_connect(engine, url, &peer), url);

    struct hello_in in = {.name = wb_str_of("world"), .year = 2017};
    struct hello_out out;
    check(hello_call(peer, &in, &out, NULL), "call");
    printf("%.*s Next year is %d.\n", WB_STR_ARG(out.greeting), out.next_year);

    bool right = out.next_year == 2018 && out.greeting.len == strlen("Hello, world!");
    hello_out_drop(&out); /* the greeting was a view, too */
    wb_peer_close(peer);
    wb_engine_destroy(engine);
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    return right ? 0 : 1;
}
