/* What is logged, in words: for wb_engine_events_text, and on stderr when a peer is lost. */
#ifndef WBI_ENGINE_REPORT_H
#define WBI_ENGINE_REPORT_H

#include "engine/peer.h"

/* Lane thread: writes to stderr why the peer was lost, what to do about it, and what the lane has
 * seen before. */
void wbi_report(const struct wb_peer *peer);

/* The same of a rail that it has lost, or did not get, in one line. */
void wbi_report_rail(const struct wb_peer *peer, int status, const char *words);

#endif
