/* What both sides of the floor do. */
#include "perf/floor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void drop_takers(struct floor *floor)
{
    for (uint32_t t = 0; floor->taker != NULL && t < floor->takers; t++) {
        if (floor->taker[t] != NULL) {
            free(floor->taker[t]->landing);
            free(floor->taker[t]);
        }
    }
    free(floor->taker);
    floor->taker = NULL;
    floor->takers = 0;
}

void floor_close(struct floor *floor)
{
    drop_takers(floor);
    cargo_drop(&floor->cargo);
    free(floor->own);
    *floor = (struct floor){0};
}

/* Memory that has been touched. */
static uint8_t *make_memory(size_t bytes)
{
    uint8_t *memory = malloc(bytes + 1);
    if (memory != NULL) {
        memset(memory, 1, bytes + 1);
    }
    return memory;
}

static int make_takers(struct floor *floor)
{
    size_t there = pieces_longest(&floor->cargo.there), back = pieces_longest(&floor->cargo.back);
    uint32_t takers = floor->side == 0 ? floor->options->threads : 1;
    drop_takers(floor);
    floor->taker = calloc(takers, sizeof(struct taker *));
    floor->takers = floor->taker != NULL ? takers : 0;
    int wrong = floor->taker != NULL ? 0 : -1;
    for (uint32_t t = 0; wrong == 0 && t < takers; t++) {
        struct taker *taker = floor->taker[t] = calloc(1, sizeof *taker);
        if (taker != NULL) {
            taker->landing = make_memory(there > back ? there : back);
        }
        wrong = taker != NULL && taker->landing != NULL ? 0 : -1;
    }
    return wrong;
}

static int make_own(struct floor *floor)
{
    const struct cargo *cargo = &floor->cargo;
    struct area_own *told = &floor->orders->area.head->own[floor->side];
    free(floor->own);
    floor->own = make_memory(floor->side == 0 ? cargo->threads * cargo->stretch : cargo->back.room);
    *told = (struct area_own){.process = getpid(), .address = (uintptr_t)floor->own};
    return floor->own != NULL ? 0 : -1;
}

/* Whether the area has been made for as much. */
static bool fits(const struct area *area, const struct cargo *cargo)
{
    return cargo->threads * cargo->stretch <= area->part_bytes &&
           cargo->back.room <= area->part_bytes;
}

int floor_lay(struct floor *floor, bool *anew)
{
    const struct area *area = &floor->orders->area;
    const struct area_head *head = area->head;
    struct cargo *cargo = &floor->cargo;
    int wrong = cargo_lay(cargo, floor->options, head->size, head->calls, anew);
    if (wrong == 0 && *anew) {
        wrong = make_takers(floor);
        if (wrong == 0) {
            wrong = head->by_process ? make_own(floor) : fits(area, cargo) ? 0 : -1;
        }
        if (wrong != 0) {
            cargo_drop(cargo);
        }
    }
    return wrong;
}

uint8_t *floor_memory(const struct floor *floor)
{
    return floor->own != NULL ? floor->own : area_part(&floor->orders->area, floor->side);
}

/* Reads `count` ranges of the process. What is read may be less than what was asked for. */
static int read_process(struct taker *taker, pid_t process, size_t count)
{
    for (size_t first = 0; first < count;) {
        ssize_t got = process_vm_readv(process, taker->here + first, count - first,
                                       taker->there + first, count - first, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? errno : EFAULT;
        }
        size_t left = (size_t)got;
        while (first < count && left >= taker->here[first].iov_len) {
            left -= taker->here[first++].iov_len;
        }
        if (left > 0) {
            struct iovec *here = &taker->here[first], *there = &taker->there[first];
            *here = (struct iovec){(uint8_t *)here->iov_base + left, here->iov_len - left};
            *there = (struct iovec){(uint8_t *)there->iov_base + left, there->iov_len - left};
        }
    }
    return 0;
}

static int take_of_process(struct taker *taker, const struct area_own *own,
                           const struct piece *piece, uint32_t chunks, size_t offset)
{
    size_t base = piece->at, count = 0;
    uintptr_t from = (uintptr_t)own->address + offset;
    for (uint32_t j = 0; j < chunks; j++) {
        if (piece[j].bytes > 0) {
            taker->here[count] =
                (struct iovec){taker->landing + (piece[j].at - base), piece[j].bytes};
            taker->there[count++] = (struct iovec){(void *)(from + piece[j].at), piece[j].bytes};
        }
    }
    return read_process(taker, own->process, count);
}

int floor_take(const struct floor *floor, struct taker *taker, const struct pieces *pieces,
               size_t i, size_t offset)
{
    const struct area *area = &floor->orders->area;
    const struct piece *piece = pieces_of(pieces, i);
    int other = 1 - floor->side;
    if (floor->own != NULL) {
        return take_of_process(taker, &area->head->own[other], piece, pieces->chunks, offset);
    }
    const uint8_t *from = area_part(area, other) + offset;
    size_t base = piece->at;
    for (uint32_t j = 0; j < pieces->chunks; j++) {
        memcpy(taker->landing + (piece[j].at - base), from + piece[j].at, piece[j].bytes);
    }
    /* The compiler may not see that nobody reads what it copies. */
    __asm__ volatile("" : : "r"(taker->landing) : "memory");
    return 0;
}

void floor_spoil(const struct floor *floor, struct taker *taker, const struct pieces *pieces,
                 size_t i, uint64_t stamp)
{
    if (floor->options->verify) {
        pieces_spoil(pieces, i, taker->landing, stamp);
    }
}

int floor_verify(const struct floor *floor, const struct taker *taker, const struct pieces *pieces,
                 size_t i, uint64_t stamp)
{
    bool right = !floor->options->verify || pieces_check(pieces, i, taker->landing, stamp);
    return right ? 0 : EBADMSG;
}

void floor_words(int error, char *text, size_t size)
{
    switch (error) {
    case EBADMSG:
        snprintf(text, size, "a payload that the baseline moved is wrong");
        break;
    case EPERM:
    case EACCES:
    case ENOSYS:
        snprintf(text, size,
                 "process_vm_readv of the other process is not allowed here (%s; see "
                 "/proc/sys/kernel/yama/ptrace_scope): --vs floor copies shared memory instead",
                 strerror(error));
        break;
    default:
        snprintf(text, size, "process_vm_readv of the other process: %s", strerror(error));
        break;
    }
}
