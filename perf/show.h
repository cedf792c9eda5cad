/* wb_perf show: an archive in words, and what the planner makes of it. */
#ifndef WAYBILL_PERF_SHOW_H
#define WAYBILL_PERF_SHOW_H

/* The subcommand, whole; returns the exit status. */
int show_main(int argc, char **argv);

#endif
