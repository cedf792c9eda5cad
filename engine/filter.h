/*
 * Filters over archives: what this build can do, what a peer can undo, and from which length on it
 * is done. Only here is a library of one called. A filtered archive is the length of the plain one,
 * u64, and what the filter made of it.
 */
#ifndef WBI_ENGINE_FILTER_H
#define WBI_ENGINE_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <waybill/engine.h>

enum { WBI_FILTER_HEAD = 8 }; /* bytes of a filtered archive before what the filter made */

/* Whether this build has the filter; it has WB_FILTER_NONE. */
bool wbi_filter_is_here(enum wb_filter filter);

/* The features of a hello that say what this engine undoes: what it filters itself. */
uint64_t wbi_filter_features(const struct wb_engine_config *config);

/* From how many bytes on archives are filtered for a peer with these features; SIZE_MAX: never. */
size_t wbi_filter_from(const struct wb_engine_config *config, uint64_t features);

/* Filters `bytes` plain bytes into `out`, which has as much room. Returns the bytes of the filtered
 * archive, or 0: they are not fewer. */
size_t wbi_filter_apply(const void *plain, size_t bytes, void *out);

/* How long the archive is that was filtered to these bytes; nothing is believed that cannot be.
 * WB_OK, or WB_ERR_MALFORMED. */
int wbi_filter_measure(const uint8_t *filtered, uint64_t bytes, uint64_t *plain_bytes);

/* Undoes the filter; measure has accepted it, and `plain` has room for what it said. WB_OK, or
 * WB_ERR_MALFORMED: these are not the bytes of an archive of that length. */
int wbi_filter_undo(const uint8_t *filtered, uint64_t bytes, void *plain, uint64_t plain_bytes);

#endif
