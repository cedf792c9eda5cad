#include "tests/wb_sim/jobs.h"

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/program.h"
#include "tests/wb_sim/crash.h"

enum { WATCH_US = 50000, SIGNAL_BASE = 128 };

static const uint64_t patience_us = 300000000; /* of the machine's time, for one seed */

/* In memory that the processes share. */
struct job {
    pid_t pid; /* 0: ended */
    _Atomic uint64_t seed;
    _Atomic uint64_t begun_us;
    struct summary summary; /* of the seeds that are over; the parent reads it when the job is */
};

static const struct command *running;

static void say_replay(uint64_t seed, FILE *out)
{
    fprintf(out, "wb_sim: to see it again: ");
    command_print(running, seed, out);
    fprintf(out, "\n");
}

static bool has_time(const struct command *command, uint64_t start_us, uint64_t number)
{
    return command->time_s > 0 ? test_clock_us() - start_us < command->time_s * 1000000
                               : number < command->seeds;
}

/* Each `stride`-th seed from `index` on. */
static void work(const struct command *command, struct job *job, unsigned index, unsigned stride)
{
    uint64_t start_us = test_clock_us();
    play_on_fail(say_replay, command->trace);
    for (uint64_t number = index; has_time(command, start_us, number); number += stride) {
        uint64_t seed = command->seed + number;
        atomic_store(&job->seed, seed);
        atomic_store(&job->begun_us, test_clock_us());
        uint64_t hash = play_run(&command->play, seed, &job->summary);
        if (command->hash) {
            printf("%" PRIu64 " %016" PRIx64 "\n", seed, hash);
        }
    }
}

static void start(const struct command *command, struct job *job, unsigned index)
{
    fflush(NULL);
    atomic_store(&job->begun_us, test_clock_us());
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        crash_on_death(command->trace, NULL); /* the parent says how to see it again */
        work(command, job, index, command->jobs);
        exit(0); /* with what sanitizers have to say then */
    }
    if (pid < 0) {
        perror("wb_sim: fork");
        exit(1);
    }
    job->pid = pid; /* not by the child, whose is 0 */
}

/* Whether the job is well: runs, or has ended well. */
static bool look(struct job *job)
{
    int status;
    uint64_t begun = atomic_load(&job->begun_us), now = test_clock_us(); /* in this order */
    if (job->pid != 0 && now - begun > patience_us) {
        kill(job->pid, SIGKILL);
        fprintf(stderr, "wb_sim: seed %" PRIu64 " does not end\n", atomic_load(&job->seed));
    }
    if (job->pid == 0 || waitpid(job->pid, &status, WNOHANG) != job->pid) {
        return true;
    }
    job->pid = 0;
    bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!good && !(WIFEXITED(status) && WEXITSTATUS(status) == PLAY_FAILED)) {
        fprintf(stderr, "wb_sim: seed %" PRIu64 " ended with %s %d\n", atomic_load(&job->seed),
                WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "exit status",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        say_replay(atomic_load(&job->seed), stderr);
        fprintf(stderr,
                "wb_sim: with --trace N it prints more events, with --jobs 0 a debugger can "
                "stop there\n");
    }
    return good;
}

static void stop(struct job *jobs, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (jobs[i].pid != 0) {
            kill(jobs[i].pid, SIGKILL);
            waitpid(jobs[i].pid, NULL, 0);
        }
    }
}

static bool some_run(const struct job *jobs, unsigned count)
{
    bool some = false;
    for (unsigned i = 0; i < count; i++) {
        some |= jobs[i].pid != 0;
    }
    return some;
}

static struct job own; /* of a run in this process */

static void say_own_replay(void)
{
    say_replay(atomic_load(&own.seed), stderr);
}

/* In this process: a broken rule ends it. */
static bool run_here(const struct command *command, struct summary *summary)
{
    crash_on_death(command->trace, say_own_replay);
    work(command, &own, 0, 1);
    summary_add(summary, &own.summary);
    return true;
}

bool jobs_run(const struct command *command, struct summary *summary)
{
    running = command;
    if (command->jobs == 0) {
        return run_here(command, summary);
    }
    size_t bytes = command->jobs * sizeof(struct job);
    struct job *jobs = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    bool good = true;
    if (jobs == MAP_FAILED) {
        perror("wb_sim: mmap");
        return false;
    }
    for (unsigned i = 0; i < command->jobs; i++) {
        start(command, &jobs[i], i);
    }
    while (good && some_run(jobs, command->jobs)) {
        test_sleep_us(WATCH_US);
        for (unsigned i = 0; i < command->jobs; i++) {
            good &= look(&jobs[i]);
        }
    }
    stop(jobs, command->jobs);
    for (unsigned i = 0; i < command->jobs; i++) {
        summary_add(summary, &jobs[i].summary);
    }
    munmap(jobs, bytes);
    return good;
}
