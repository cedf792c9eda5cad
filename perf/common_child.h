/*
 * The other side of a program, as a second process: the program itself, executed anew, so that
 * neither side inherits anything of the other's library. A socket pair ties the two: the child says
 * through it that it is ready, and sees by its end that the parent is gone. Besides, the kernel
 * kills a child whose parent has died.
 */
#ifndef WAYBILL_PERF_COMMON_CHILD_H
#define WAYBILL_PERF_COMMON_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Invariant: pid > 0 if and only if there is a process to wait for. Start from CHILD_NONE. */
struct child {
    pid_t pid;
    int link; /* our end of the socket pair, or -1 */
};
#define CHILD_NONE ((struct child){.pid = 0, .link = -1})

/*
 * Executes this program with `words` (its arguments, NULL at the end) and "--parent=FD" behind
 * them. `keep` is one more descriptor that the child is to inherit under its own number, or -1. To
 * be called before any engine exists here. Returns 0, or EXIT_FAILURE with a line said; the caller
 * ends the child with child_stop.
 */
int child_start(struct child *child, const char *const words[], int keep);

/* Waits until the child is ready, and fills `words` (of `size` bytes) with what it says then:
 * where it listens. Returns 0, or the child's exit status if it ended first (it has said why,
 * unless a signal ended it: then we say so), or EXIT_FAILURE with a line said after `timeout_ms`.
 */
int child_await_ready(struct child *child, int timeout_ms, char *words, size_t size);

/* Whether the child has ended by itself; does not wait. */
bool child_is_gone(const struct child *child);

/* Lets the child end, kills it if it does not within some seconds, and waits for it. Accepts
 * CHILD_NONE. Returns its exit status, or EXIT_FAILURE with a line said if a signal ended it. */
int child_stop(struct child *child);

/* In the child, with the descriptor that --parent gave: */
void parent_tell_ready(int link, const char *words);
bool parent_is_gone(int link);

#endif
