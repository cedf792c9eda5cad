/* Containers and descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/simverbs/model.h"

void *sim_new(size_t bytes)
{
    void *memory = calloc(1, bytes != 0 ? bytes : 1);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

void sim_set_errno(int error)
{
    errno = error != 0 ? error : ENOTTY;
}

void sim_fifo_push(struct sim_fifo *fifo, void *item)
{
    if (fifo->count == fifo->room) {
        fifo->room = fifo->room * 2 + 8;
        void **items = realloc(fifo->items, fifo->room * sizeof(void *));
        if (items == NULL) {
            abort();
        }
        fifo->items = items;
    }
    fifo->items[fifo->count++] = item;
}

void sim_fifo_remove(struct sim_fifo *fifo, size_t index)
{
    fifo->count--;
    memmove(&fifo->items[index], &fifo->items[index + 1], (fifo->count - index) * sizeof(void *));
}

void *sim_fifo_pop(struct sim_fifo *fifo)
{
    if (fifo->count == 0) {
        return NULL;
    }
    void *item = fifo->items[0];
    sim_fifo_remove(fifo, 0);
    return item;
}

void sim_fifo_close(struct sim_fifo *fifo)
{
    free(fifo->items);
    *fifo = (struct sim_fifo){0};
}

void sim_signal_open(struct sim_signal *signal)
{
    *signal = (struct sim_signal){.raised = false};
    signal->fd = eventfd(0, EFD_CLOEXEC);
    if (signal->fd < 0) {
        abort();
    }
}

void sim_signal_set(struct sim_signal *signal, bool raised)
{
    eventfd_t count;
    if (raised && !signal->raised) {
        eventfd_write(signal->fd, 1);
    } else if (!raised && signal->raised) {
        eventfd_read(signal->fd, &count);
    }
    signal->raised = raised;
}

void sim_signal_close(struct sim_signal *signal)
{
    close(signal->fd);
}

bool sim_signal_wait(struct sim_signal *signal)
{
    struct pollfd wanted = {.fd = signal->fd, .events = POLLIN};
    signal->unblocked = signal->unblocked || (fcntl(signal->fd, F_GETFL) & O_NONBLOCK) != 0;
    if (signal->unblocked) {
        return signal->raised;
    }
    while (!signal->raised) {
        if (sim_world.options.threads) {
            sim_leave();
            poll(&wanted, 1, 10);
            sim_enter(0);
        } else if (sim_next_event_ns() == UINT64_MAX) {
            sim_bug("a call would block for ever: nothing is under way that could end it");
            return false;
        } else {
            sim_world.now_ns = sim_next_event_ns();
            sim_run_due();
        }
    }
    return true;
}
