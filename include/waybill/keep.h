/*
 * Keeping what was received. A received value's views point into its parcel and end with it; the
 * generated
 *
 *   int NAME_keep(const NAME *value, NAME *kept, struct wb_arena *arena)
 *
 * (of WB_STRUCT, and of an action's NAME_in and NAME_out) copies the value so that it outlives the
 * parcel: strings, byte ranges, arrays and what is nested in them lie in `arena`, which the caller
 * owns; vectors, objects and registered buffers are shared, not copied; other buffers become views
 * of their copies in the arena. The value itself stays as it is. The caller ends *kept with
 * NAME_drop, and then resets or frees the arena. It works on any value, received or not.
 * Errors: WB_ERR_NO_MEMORY (or beyond the arena's limit), WB_ERR_INVALID (a value that could not be
 * sent either), WB_ERR_MALFORMED (one that its own reader refuses: a check of a WB_CUSTOM type, or
 * what changed meanwhile); then *kept is zero. Any thread.
 */
#ifndef WAYBILL_KEEP_H
#define WAYBILL_KEEP_H

#include <waybill/serial.h>

/* The steps of NAME_keep, which writes the value into the arena and reads it there. Starts the
 * sizing pass with thresholds that leave vectors where they are; memory for what was sized; the
 * reader of what was written. */
WB_API void wb_keep_size(struct wb_sizer *sizer);
WB_API int wb_keep_begin(struct wb_arena *arena, const struct wb_sizer *sizer,
                         struct wb_writer *writer);
WB_API int wb_keep_read(struct wb_arena *arena, struct wb_writer *writer, struct wb_reader *reader);

#endif
