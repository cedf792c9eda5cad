#include "tests/conformance/nursery.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 64 };

struct child {
    pid_t pid; /* 0: none */
    int control;
};

struct nursery {
    int socket;
    struct child children[CHILDREN];
};

bool test_say(int socket, const void *message, size_t bytes)
{
    const char *at = message;
    while (bytes > 0) {
        ssize_t said = send(socket, at, bytes, MSG_NOSIGNAL);
        if (said <= 0 && errno != EINTR) {
            return false;
        }
        at += said > 0 ? said : 0;
        bytes -= said > 0 ? (size_t)said : 0;
    }
    return true;
}

bool test_hear(int socket, void *message, size_t bytes)
{
    char *at = message;
    while (bytes > 0) {
        ssize_t heard = recv(socket, at, bytes, 0);
        if (heard == 0 || (heard < 0 && errno != EINTR)) {
            return false;
        }
        at += heard > 0 ? heard : 0;
        bytes -= heard > 0 ? (size_t)heard : 0;
    }
    return true;
}

/* ---- a server's process ---- */

/* Serves, and says what figures there are when it is asked, until `control` is closed. */
static void serve(const struct test_order *order, int control)
{
    static struct test_service service;
    struct test_answer answer = {.pid = getpid()};
    char asked;
    answer.result = test_service_open(&service, &order->config, order->url);
    snprintf(answer.words, sizeof answer.words, "%s", wb_last_error());
    if (answer.result == WB_OK) {
        answer.result = test_service_drive(&service);
    }
    bool heard = test_say(control, &answer, sizeof answer) && answer.result == WB_OK;
    while (heard && test_hear(control, &asked, sizeof asked)) {
        test_figures_take(service.engine, &answer.figures);
        heard = test_say(control, &answer, sizeof answer);
    }
    test_service_close(&service);
    close(control);
}

/* ---- orders ---- */

static struct child *find(struct nursery *nursery, pid_t pid)
{
    for (unsigned i = 0; i < CHILDREN; i++) {
        if (nursery->children[i].pid == pid) {
            return &nursery->children[i];
        }
    }
    return NULL;
}

static void reap(struct child *child, struct test_answer *answer)
{
    close(child->control);
    waitpid(child->pid, &answer->result, 0);
    child->pid = 0;
}

/* A server sees the end of its own socket, and holds open nobody else's. */
static void forget_others(const struct nursery *nursery)
{
    close(nursery->socket);
    for (unsigned i = 0; i < CHILDREN; i++) {
        if (nursery->children[i].pid > 0) {
            close(nursery->children[i].control);
        }
    }
}

static void start(struct nursery *nursery, const struct test_order *order,
                  struct test_answer *answer)
{
    struct child *child = find(nursery, 0);
    int ends[2];
    if (child == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        forget_others(nursery);
        close(ends[0]);
        serve(order, ends[1]);
        exit(EXIT_SUCCESS); /* the leak checker has its say */
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return;
    }
    *child = (struct child){.pid = pid, .control = ends[0]};
    if (!test_hear(child->control, answer, sizeof *answer) || answer->result != WB_OK) {
        struct test_answer end;
        reap(child, &end);
    }
}

static void ask(struct child *child, struct test_answer *answer)
{
    char asking = 1;
    if (!test_say(child->control, &asking, sizeof asking) ||
        !test_hear(child->control, answer, sizeof *answer)) {
        answer->pid = 0;
    }
}

static void obey(struct nursery *nursery, const struct test_order *order,
                 struct test_answer *answer)
{
    struct child *child = order->wish != TEST_START ? find(nursery, order->pid) : NULL;
    if (order->wish == TEST_START) {
        start(nursery, order, answer);
        return;
    }
    if (child == NULL) {
        return;
    }
    answer->pid = child->pid;
    switch (order->wish) {
    case TEST_FIGURES:
        ask(child, answer);
        break;
    case TEST_STOP:
        kill(child->pid, SIGCONT);
        reap(child, answer);
        break;
    case TEST_KILL:
        kill(child->pid, SIGKILL);
        reap(child, answer);
        break;
    case TEST_FREEZE:
        kill(child->pid, SIGSTOP);
        waitpid(child->pid, &answer->result, WUNTRACED);
        break;
    default:
        kill(child->pid, SIGCONT);
        break;
    }
}

void test_nursery_keep(int socket)
{
    static struct nursery nursery;
    struct test_order order;
    nursery = (struct nursery){.socket = socket};
    while (test_hear(socket, &order, sizeof order)) {
        struct test_answer answer = {.pid = 0};
        obey(&nursery, &order, &answer);
        test_say(socket, &answer, sizeof answer);
    }
    for (unsigned i = 0; i < CHILDREN; i++) {
        struct test_answer answer;
        if (nursery.children[i].pid > 0) {
            kill(nursery.children[i].pid, SIGKILL);
            reap(&nursery.children[i], &answer);
        }
    }
    close(socket);
}
