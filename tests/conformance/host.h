/* Where servers run: in this process, each driven by a thread of its own; or in processes of their
 * own, on this host or another. */
#ifndef WAYBILL_TESTS_CONFORMANCE_HOST_H
#define WAYBILL_TESTS_CONFORMANCE_HOST_H

#include <stdbool.h>
#include <sys/types.h>

#include "tests/conformance/nursery.h"

struct test_host {
    int nursery; /* a socket, or -1: servers run in this process */
    pid_t pid;   /* of the nursery, if it is this host's; or 0 */
};

struct test_server {
    char url[TEST_URL_BYTES];
    struct test_service *local; /* in this process; or NULL */
    pid_t pid;                  /* of its own process; or 0 */
};

/* Before any engine and any thread. */
void test_host_open(struct test_host *host, bool processes);

/* Servers run on another host: `socket` leads to its nursery, and is the host's from here on. */
void test_host_open_remote(struct test_host *host, int socket);

/* Ends the nursery and whatever servers are left. */
void test_host_close(struct test_host *host);

/* Starts a server at server->url. WB_OK or what its engine said; then nothing was started. */
int test_server_start(struct test_host *host, struct test_server *server,
                      const struct wb_engine_config *config);

/* Ends it in order. Fails unless everything went well in it (no leak, no sanitizer's complaint).
 * One that does not run is fine. */
void test_server_stop(struct test_host *host, struct test_server *server);

/* Ends a process with SIGKILL and waits for its end. */
void test_server_kill(struct test_host *host, struct test_server *server);

/* Stops a process with SIGSTOP: on return none of its threads runs. And lets it go on. */
void test_server_freeze(struct test_host *host, struct test_server *server);
void test_server_thaw(struct test_host *host, struct test_server *server);

void test_server_figures(struct test_host *host, struct test_server *server,
                         struct test_figures *figures);

#endif
