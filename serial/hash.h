/* The hashes that identify actions: 64-bit FNV-1a (Fowler, Noll, Vo), over names and over field
 * lists. */
#ifndef WBI_SERIAL_HASH_H
#define WBI_SERIAL_HASH_H

#include <stdint.h>
#include <waybill/action.h>

/* Of a terminated string. Never 0. */
uint64_t wbi_hash_name(const char *name);

/* Of an action's two field lists: each field's kind, type and name, each with its final 0, the
 * lists apart by one more. Never 0. */
uint64_t wbi_hash_signature(const struct wb_field *in, const struct wb_field *out);

#endif
