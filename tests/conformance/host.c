#include "tests/conformance/host.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/program.h"

/* ---- what is said over the sockets ---- */

enum wish { WISH_START = 1, WISH_REAP, WISH_FREEZE, WISH_FIGURES };

struct order {
    enum wish wish;
    pid_t pid; /* REAP, FREEZE */
    char url[TEST_URL_BYTES];
    struct wb_engine_config config; /* START */
};

struct answer {
    pid_t pid;
    int result; /* REAP, FREEZE: as waitpid gives it; from a server that begins: a wb_status */
    char words[256];
    struct test_figures figures;
};

static bool say(int socket, const void *message, size_t bytes)
{
    return send(socket, message, bytes, MSG_NOSIGNAL) == (ssize_t)bytes;
}

static bool hear(int socket, void *message, size_t bytes)
{
    ssize_t got;
    do {
        got = recv(socket, message, bytes, 0);
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)bytes;
}

union descriptor_room {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

static bool say_with_descriptor(int socket, struct answer *answer, int descriptor)
{
    union descriptor_room room = {.bytes = {0}};
    struct iovec part = {.iov_base = answer, .iov_len = sizeof *answer};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = room.bytes,
                             .msg_controllen = sizeof room.bytes};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptor);
    memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    return sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)sizeof *answer;
}

static int hear_with_descriptor(int socket, struct answer *answer)
{
    union descriptor_room room = {.bytes = {0}};
    struct iovec part = {.iov_base = answer, .iov_len = sizeof *answer};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = room.bytes,
                             .msg_controllen = sizeof room.bytes};
    int descriptor = -1;
    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) == (ssize_t)sizeof *answer) {
        const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        if (header != NULL && header->cmsg_type == SCM_RIGHTS) {
            memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
        }
    }
    return descriptor;
}

/* ---- a server's process ---- */

static void serve(const struct order *order, int control)
{
    static struct test_service service;
    struct order next;
    struct answer answer = {.pid = getpid()};
    answer.result = test_service_open(&service, &order->config, order->url);
    snprintf(answer.words, sizeof answer.words, "%s", wb_last_error());
    if (answer.result == WB_OK) {
        answer.result = test_service_drive(&service);
    }
    bool heard = say(control, &answer, sizeof answer) && answer.result == WB_OK;
    while (heard && hear(control, &next, sizeof next) && next.wish == WISH_FIGURES) {
        test_figures_take(service.engine, &answer.figures);
        heard = say(control, &answer, sizeof answer);
    }
    test_service_close(&service);
    close(control);
}

/* ---- the nursery ---- */

enum { CHILDREN = 64 };

struct nursery {
    int socket;
    pid_t children[CHILDREN]; /* not yet waited for; 0: none */
};

static bool note_child(struct nursery *nursery, pid_t before, pid_t after)
{
    for (unsigned i = 0; i < CHILDREN; i++) {
        if (nursery->children[i] == before) {
            nursery->children[i] = after;
            return true;
        }
    }
    return false;
}

static void start_process(struct nursery *nursery, const struct order *order)
{
    struct answer answer = {.pid = -1};
    int ends[2];
    if (!note_child(nursery, 0, -1) ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        say(nursery->socket, &answer, sizeof answer);
        return;
    }
    answer.pid = fork();
    if (answer.pid == 0) {
        close(nursery->socket);
        close(ends[0]);
        serve(order, ends[1]);
        exit(EXIT_SUCCESS); /* the leak checker has its say */
    }
    note_child(nursery, -1, answer.pid > 0 ? answer.pid : 0);
    say_with_descriptor(nursery->socket, &answer, ends[0]);
    close(ends[0]);
    close(ends[1]);
}

/* Waits until a process has ended or, with WUNTRACED, all of its threads have stopped. */
static void wait_for_process(struct nursery *nursery, pid_t pid, int options)
{
    struct answer answer = {.pid = -1};
    answer.pid = waitpid(pid, &answer.result, options);
    if (options == 0) {
        note_child(nursery, pid, 0);
    }
    say(nursery->socket, &answer, sizeof answer);
}

static void keep_nursery(struct nursery *nursery)
{
    struct order order;
    while (hear(nursery->socket, &order, sizeof order)) {
        if (order.wish == WISH_START) {
            start_process(nursery, &order);
        } else {
            wait_for_process(nursery, order.pid, order.wish == WISH_FREEZE ? WUNTRACED : 0);
        }
    }
    for (unsigned i = 0; i < CHILDREN; i++) {
        if (nursery->children[i] > 0) {
            kill(nursery->children[i], SIGKILL);
            waitpid(nursery->children[i], NULL, 0);
        }
    }
}

void test_host_open(struct test_host *host, bool processes)
{
    static struct nursery nursery;
    int ends[2];
    *host = (struct test_host){.nursery = -1};
    if (!processes) {
        return;
    }
    fflush(NULL);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0 ||
        (host->pid = fork()) < 0) {
        perror("no process to start servers from");
        exit(EXIT_FAILURE);
    }
    if (host->pid == 0) {
        close(ends[0]);
        nursery.socket = ends[1];
        keep_nursery(&nursery);
        _exit(EXIT_SUCCESS);
    }
    close(ends[1]);
    host->nursery = ends[0];
}

void test_host_close(struct test_host *host)
{
    if (host->nursery >= 0) {
        close(host->nursery);
        waitpid(host->pid, NULL, 0);
        host->nursery = -1;
    }
}

/* ---- servers, as the tests have them ---- */

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

static int wait_for(const struct test_host *host, const struct test_server *server, enum wish wish)
{
    struct order order = {.wish = wish, .pid = server->pid};
    struct answer answer;
    ck_assert(say(host->nursery, &order, sizeof order));
    ck_assert(hear(host->nursery, &answer, sizeof answer));
    ck_assert_int_eq(answer.pid, server->pid);
    return answer.result;
}

static int start_remote(struct test_host *host, struct test_server *server,
                        const struct wb_engine_config *config)
{
    struct order order = {.wish = WISH_START, .config = *config};
    struct answer answer;
    memcpy(order.url, server->url, sizeof order.url);
    ck_assert(say(host->nursery, &order, sizeof order));
    server->control = hear_with_descriptor(host->nursery, &answer);
    ck_assert_int_ge(server->control, 0);
    server->pid = answer.pid;
    ck_assert_msg(hear(server->control, &answer, sizeof answer), "a server died as it began");
    if (answer.result != WB_OK) {
        close(server->control);
        server->control = -1;
        wait_for(host, server, WISH_REAP);
        server->pid = 0;
    }
    return answer.result;
}

int test_server_start(struct test_host *host, struct test_server *server,
                      const struct wb_engine_config *config)
{
    struct wb_engine_config defaults;
    wb_engine_config_default(&defaults);
    config = config != NULL ? config : &defaults;
    server->local = NULL;
    server->control = -1;
    server->pid = 0;
    return host->nursery < 0 ? start_local(server, config) : start_remote(host, server, config);
}

void test_server_stop(struct test_host *host, struct test_server *server)
{
    if (server->local != NULL) {
        test_service_close(server->local);
        free(server->local);
        server->local = NULL;
    }
    if (server->pid > 0) {
        kill(server->pid, SIGCONT);
        close(server->control);
        int result = wait_for(host, server, WISH_REAP);
        server->pid = 0;
        ck_assert_msg(WIFEXITED(result) && WEXITSTATUS(result) == 0,
                      "a server's process ended with status %d, signal %d",
                      WIFEXITED(result) ? WEXITSTATUS(result) : -1,
                      WIFSIGNALED(result) ? WTERMSIG(result) : 0);
    }
}

void test_server_kill(struct test_host *host, struct test_server *server)
{
    ck_assert_int_gt(server->pid, 0);
    kill(server->pid, SIGKILL);
    wait_for(host, server, WISH_REAP);
    close(server->control);
    server->pid = 0;
}

void test_server_freeze(struct test_host *host, struct test_server *server)
{
    ck_assert_int_gt(server->pid, 0);
    kill(server->pid, SIGSTOP);
    int result = wait_for(host, server, WISH_FREEZE);
    ck_assert(WIFSTOPPED(result));
}

void test_server_thaw(struct test_server *server)
{
    ck_assert_int_gt(server->pid, 0);
    kill(server->pid, SIGCONT);
}

void test_server_figures(struct test_server *server, struct test_figures *figures)
{
    struct order order = {.wish = WISH_FIGURES};
    struct answer answer;
    if (server->local != NULL) {
        test_figures_take(server->local->engine, figures);
        return;
    }
    ck_assert(say(server->control, &order, sizeof order));
    ck_assert_msg(hear(server->control, &answer, sizeof answer), "a server has died");
    *figures = answer.figures;
}
