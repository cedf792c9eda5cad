/* How the programs speak when something is wrong: one line on stderr, after the program's name. */
#ifndef WAYBILL_PERF_COMMON_SAY_H
#define WAYBILL_PERF_COMMON_SAY_H

enum { EXIT_USAGE = 2 }; /* wrong options; EXIT_FAILURE is for everything else */

/* Prints the line, for EXIT_USAGE with a hint at --help, and returns `exit_status`. */
int say(int exit_status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What a failed library call of this thread has to say: wb_last_error, or the status' sentence
 * where that is "". */
const char *status_words(int status);

/* Ends a program that has printed to stdout: a full disk or a closed pipe there is a failure too.
 * Returns `exit_status`, or EXIT_FAILURE with a line. */
int finish_output(int exit_status);

#endif
