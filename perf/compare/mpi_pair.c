/*
 * What two MPI ranks do in the way that wb_perf does it, for scripts/compare:
 *
 *   mpi_pair pingpong|call|stream SIZE ITERS
 *
 * pingpong: SIZE bytes there and SIZE back, into the buffer that is sent next, so that each message
 *           has just been written; prints the median round trip, microseconds.
 * call:     SIZE bytes there and 8 back, as a call of wb_perf: bursts, each message from a buffer
 *           of its own that was written before its burst, outside the clock; prints the same.
 * stream:   windows of messages, each from a buffer of its own that was written before the clock
 *           started, and an answer of 8 bytes to each window; prints messages a second of all.
 *
 * Rank 0 measures and prints one line, "result VALUE". An MPI error ends both ranks with status 1
 * or more.
 */
#include <mpi.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANSWER = 8,
    WINDOW_MOST = 64,
    WINDOW_LEAST = 2,
    BURST_MOST = 256, /* of calls one at a time, as wb_perf has it */
    BYTES_MOST = 16 << 20,
    SIZE_MOST = 64 << 20
};
enum { ITERS_MOST = 10000000 };

/* One rank's. Invariant: as many buffers as `window` and `burst` of `size` bytes (ANSWER at least),
 * one after another. */
struct pair {
    int rank, size, window;
    int burst; /* trips between which nothing is written */
    long iters;
    size_t step; /* from one buffer to the next */
    char *memory;
    double *seconds; /* of each round trip */
};

/* Messages of `size` bytes that BYTES_MOST hold, with bounds. */
static int fitting(int size, int least, int most)
{
    int count = BYTES_MOST / size;
    return count > most ? most : count < least ? least : count;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *value, long count)
{
    qsort(value, (size_t)count, sizeof *value, by_value);
    return count % 2 != 0 ? value[count / 2] : (value[count / 2 - 1] + value[count / 2]) / 2;
}

/* One round trip, of `payload` there and `back` bytes into `answer`. */
static void trip(const struct pair *p, const char *payload, char *answer, int back)
{
    if (p->rank == 0) {
        MPI_Send(payload, p->size, MPI_BYTE, 1, 0, MPI_COMM_WORLD);
        MPI_Recv(answer, back, MPI_BYTE, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    } else {
        MPI_Recv(p->memory, p->size, MPI_BYTE, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        MPI_Send(p->memory, back, MPI_BYTE, 0, 0, MPI_COMM_WORLD);
    }
}

/* One window and the answer to it. */
static void window(const struct pair *p)
{
    MPI_Request requests[WINDOW_MOST];
    char answer[ANSWER] = {0};
    for (int i = 0; i < p->window; i++) {
        char *buffer = p->memory + (size_t)i * p->step;
        if (p->rank == 0) {
            MPI_Isend(buffer, p->size, MPI_BYTE, 1, 0, MPI_COMM_WORLD, &requests[i]);
        } else {
            MPI_Irecv(buffer, p->size, MPI_BYTE, 0, 0, MPI_COMM_WORLD, &requests[i]);
        }
    }
    MPI_Waitall(p->window, requests, MPI_STATUSES_IGNORE);
    if (p->rank == 0) {
        MPI_Recv(answer, ANSWER, MPI_BYTE, 1, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    } else {
        MPI_Send(answer, ANSWER, MPI_BYTE, 0, 1, MPI_COMM_WORLD);
    }
}

/* Writes the first `count` buffers, of which `number` says what with. */
static void write_payloads(const struct pair *p, int count, long number)
{
    if (p->rank == 0) {
        memset(p->memory, (int)(number & 0x7f), p->step * (size_t)count);
    }
}

static double measure_trips(const struct pair *p, bool calls)
{
    char word[ANSWER];
    char *answer = calls ? word : p->memory; /* a ping-pong's answer is its next payload */
    const int back = calls ? ANSWER : p->size, burst = calls ? p->burst : 1;
    const long warm = p->iters / 10 + 1;
    for (long i = 0; i < warm + p->iters; i++) {
        if (calls && i % burst == 0) {
            write_payloads(p, burst, i / burst + 1);
        }
        double begun = MPI_Wtime();
        trip(p, p->memory + (size_t)(i % burst) * p->step, answer, back);
        if (i >= warm) {
            p->seconds[i - warm] = MPI_Wtime() - begun;
        }
    }
    return 1e6 * median(p->seconds, p->iters);
}

static double measure_stream(const struct pair *p)
{
    long windows = (p->iters + p->window - 1) / p->window;
    double seconds = 0.0;
    for (long i = -1; i < windows; i++) { /* the first warms up */
        write_payloads(p, p->window, i);
        MPI_Barrier(MPI_COMM_WORLD);
        double begun = MPI_Wtime();
        window(p);
        seconds += i >= 0 ? MPI_Wtime() - begun : 0.0;
    }
    return (double)windows * p->window / seconds;
}

/* Returns 0, or -1 where the words are none. */
static int take(struct pair *p, int argc, char **argv)
{
    if (argc != 4) {
        return -1;
    }
    char *end_of_size, *end_of_iters;
    long size = strtol(argv[2], &end_of_size, 10);
    p->iters = strtol(argv[3], &end_of_iters, 10);
    if (*end_of_size != '\0' || *end_of_iters != '\0' || size < 1 || size > SIZE_MOST ||
        p->iters < 1 || p->iters > ITERS_MOST) {
        return -1;
    }
    p->size = (int)size;
    p->window = fitting(p->size, WINDOW_LEAST, WINDOW_MOST);
    p->burst = fitting(p->size, 1, BURST_MOST);
    p->step = (size_t)(p->size > ANSWER ? p->size : ANSWER);
    return 0;
}

static int measure(struct pair *p, const char *test)
{
    double value;
    if (strcmp(test, "pingpong") == 0) {
        value = measure_trips(p, false);
    } else if (strcmp(test, "call") == 0) {
        value = measure_trips(p, true);
    } else if (strcmp(test, "stream") == 0) {
        value = measure_stream(p);
    } else {
        return -1;
    }
    if (p->rank == 0) {
        printf("result %.6g\n", value);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct pair p = {0};
    int ranks = 0;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &p.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    int wrong = take(&p, argc, argv);
    if (wrong == 0 && ranks == 2) {
        size_t bytes = p.step * (size_t)(p.window > p.burst ? p.window : p.burst);
        p.memory = malloc(bytes);
        p.seconds = malloc((size_t)p.iters * sizeof *p.seconds);
        wrong = -1;
        if (p.memory != NULL && p.seconds != NULL) {
            memset(p.memory, 0, bytes);
            wrong = measure(&p, argv[1]);
        }
    }
    if (wrong != 0 || ranks != 2) {
        fputs("usage: mpi_pair pingpong|call|stream SIZE ITERS, as two ranks\n", stderr);
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    free(p.memory);
    free(p.seconds);
    MPI_Finalize();
    return 0;
}
