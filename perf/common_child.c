#include "perf/common_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perf/common_say.h"

enum { WORDS_MAX = 40, STOP_MS = 5000 };

/* In the new process: becomes the program with `words`, or ends. */
static void become(const char *const words[], int link, int keep, pid_t parent)
{
    char *arguments[WORDS_MAX + 2] = {0};
    char parent_word[32];
    size_t count = 0;
    while (words[count] != NULL && count < WORDS_MAX) {
        arguments[count] = strdup(words[count]);
        count++;
    }
    snprintf(parent_word, sizeof parent_word, "--parent=%d", link);
    arguments[count] = parent_word;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(EXIT_FAILURE); /* it died before the line above could help */
    }
    if (fcntl(link, F_SETFD, 0) != 0 || (keep >= 0 && fcntl(keep, F_SETFD, 0) != 0)) {
        _exit(say(EXIT_FAILURE, "cannot hand a descriptor on: %s", strerror(errno)));
    }
    execv("/proc/self/exe", arguments);
    _exit(say(EXIT_FAILURE, "cannot execute /proc/self/exe: %s", strerror(errno)));
}

int child_start(struct child *child, const char *const words[], int keep)
{
    int pair[2];
    *child = CHILD_NONE;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return say(EXIT_FAILURE, "cannot make a socket pair: %s", strerror(errno));
    }
    fflush(NULL);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        become(words, pair[1], keep, parent);
    }
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return say(EXIT_FAILURE, "cannot start a second process: %s", strerror(errno));
    }
    child->pid = pid;
    child->link = pair[0];
    return 0;
}

/* Turns what waitpid gave into an exit status. */
static int exit_status_of(int wait_status, bool killed_by_us)
{
    if (WIFEXITED(wait_status)) {
        return WEXITSTATUS(wait_status);
    }
    if (killed_by_us) {
        return say(EXIT_FAILURE, "the second process did not end by itself and was killed");
    }
    return say(EXIT_FAILURE, "the second process was ended by signal %d (%s)",
               WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
}

/* Waits for readability at most `timeout_ms`; the end of the connection counts as such. */
static bool readable_within(int fd, int timeout_ms)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    int got;
    do {
        got = poll(&poller, 1, timeout_ms);
    } while (got < 0 && errno == EINTR);
    return got > 0;
}

int child_await_ready(struct child *child, int timeout_ms, char *words, size_t size)
{
    if (!readable_within(child->link, timeout_ms)) {
        return say(EXIT_FAILURE, "the second process (pid %ld) was not ready within %d s",
                   (long)child->pid, timeout_ms / 1000);
    }
    for (size_t used = 0; used < size && recv(child->link, words + used, 1, 0) == 1; used++) {
        if (words[used] == '\0') {
            return 0;
        }
    }
    int status = child_stop(child);
    return status != 0 ? status : say(EXIT_FAILURE, "the second process ended at once");
}

bool child_is_gone(const struct child *child)
{
    siginfo_t info = {0};
    return child->pid <= 0 ||
           waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
           info.si_pid != 0;
}

int child_stop(struct child *child)
{
    if (child->pid <= 0) {
        return 0;
    }
    bool killed = false;
    int wait_status = 0;
    /* It answers our half-close by its own end, which closes its side of the pair. */
    shutdown(child->link, SHUT_WR);
    char byte;
    while (readable_within(child->link, STOP_MS) && recv(child->link, &byte, 1, 0) > 0) {
    }
    if (!readable_within(child->link, 0)) {
        kill(child->pid, SIGKILL);
        killed = true;
    }
    while (waitpid(child->pid, &wait_status, 0) < 0 && errno == EINTR) {
    }
    close(child->link);
    *child = CHILD_NONE;
    return exit_status_of(wait_status, killed);
}

void parent_tell_ready(int link, const char *words)
{
    while (send(link, words, strlen(words) + 1, MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
}

bool parent_is_gone(int link)
{
    char byte;
    ssize_t got = recv(link, &byte, 1, MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}
