/* Hosts whose programs now and then keep all of a small pool for a while, so that items that have
 * arrived find no memory to be taken. */
#ifndef WAYBILL_TESTS_WB_SIM_STREAM_HOARD_H
#define WAYBILL_TESTS_WB_SIM_STREAM_HOARD_H

struct hoard;
struct node;
struct play;

struct hoard *hoards_new(const struct play *play);

/* A step of the run: one host takes all that it gets, or lets go of it. */
void hoards_step(struct play *play);

/* The host lets go of what it has. */
void hoard_drop(struct node *node);

#endif
