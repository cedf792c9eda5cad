#include "tests/conformance/host.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/program.h"

void test_host_open(struct test_host *host, bool processes)
{
    int ends[2];
    *host = (struct test_host){.nursery = -1};
    if (!processes) {
        return;
    }
    fflush(NULL);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 || (host->pid = fork()) < 0) {
        perror("no process to start servers from");
        exit(EXIT_FAILURE);
    }
    if (host->pid == 0) {
        close(ends[0]);
        test_nursery_keep(ends[1]);
        _exit(EXIT_SUCCESS);
    }
    close(ends[1]);
    host->nursery = ends[0];
}

void test_host_open_remote(struct test_host *host, int socket)
{
    *host = (struct test_host){.nursery = socket};
}

void test_host_close(struct test_host *host)
{
    if (host->nursery >= 0) {
        close(host->nursery);
        host->nursery = -1;
    }
    if (host->pid > 0) {
        waitpid(host->pid, NULL, 0);
        host->pid = 0;
    }
}

/* ---- servers ---- */

/* Has an order carried out. */
static struct test_answer have(const struct test_host *host, const struct test_order *order)
{
    struct test_answer answer;
    ck_assert(test_say(host->nursery, order, sizeof *order));
    ck_assert(test_hear(host->nursery, &answer, sizeof answer));
    return answer;
}

static struct test_answer tell(const struct test_host *host, const struct test_server *server,
                               enum test_wish wish)
{
    struct test_order order = {.wish = wish, .pid = server->pid};
    ck_assert_int_gt(server->pid, 0);
    struct test_answer answer = have(host, &order);
    ck_assert_msg(answer.pid == server->pid, "a server has died");
    return answer;
}

static int start_local(struct test_server *server, const struct wb_engine_config *config)
{
    server->local = calloc(1, sizeof *server->local);
    ck_assert_ptr_nonnull(server->local);
    int status = test_service_open(server->local, config, server->url);
    if (status != WB_OK) {
        free(server->local);
        server->local = NULL;
        return status;
    }
    ck_assert_int_eq(test_service_drive(server->local), WB_OK);
    return WB_OK;
}

static int start_process(const struct test_host *host, struct test_server *server,
                         const struct wb_engine_config *config)
{
    struct test_order order = {.wish = TEST_START, .config = *config};
    memcpy(order.url, server->url, sizeof order.url);
    struct test_answer answer = have(host, &order);
    ck_assert_msg(answer.pid > 0, "a server died as it began");
    server->pid = answer.result == WB_OK ? answer.pid : 0;
    return answer.result;
}

int test_server_start(struct test_host *host, struct test_server *server,
                      const struct wb_engine_config *config)
{
    struct wb_engine_config defaults;
    wb_engine_config_default(&defaults);
    config = config != NULL ? config : &defaults;
    server->local = NULL;
    server->pid = 0;
    return host->nursery < 0 ? start_local(server, config) : start_process(host, server, config);
}

void test_server_stop(struct test_host *host, struct test_server *server)
{
    if (server->local != NULL) {
        test_service_close(server->local);
        free(server->local);
        server->local = NULL;
    }
    if (server->pid > 0) {
        int result = tell(host, server, TEST_STOP).result;
        server->pid = 0;
        ck_assert_msg(WIFEXITED(result) && WEXITSTATUS(result) == 0,
                      "a server's process ended with status %d, signal %d",
                      WIFEXITED(result) ? WEXITSTATUS(result) : -1,
                      WIFSIGNALED(result) ? WTERMSIG(result) : 0);
    }
}

void test_server_kill(struct test_host *host, struct test_server *server)
{
    tell(host, server, TEST_KILL);
    server->pid = 0;
}

void test_server_freeze(struct test_host *host, struct test_server *server)
{
    ck_assert(WIFSTOPPED(tell(host, server, TEST_FREEZE).result));
}

void test_server_thaw(struct test_host *host, struct test_server *server)
{
    tell(host, server, TEST_THAW);
}

void test_server_figures(struct test_host *host, struct test_server *server,
                         struct test_figures *figures)
{
    if (server->local != NULL) {
        test_figures_take(server->local->engine, figures);
        return;
    }
    *figures = tell(host, server, TEST_FIGURES).figures;
}
