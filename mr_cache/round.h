/* One round of a budget's thread: slabs that are gone are unmapped, demands are tried. */
#ifndef WBI_MR_CACHE_ROUND_H
#define WBI_MR_CACHE_ROUND_H

struct wbi_budget;

/* Not on a progress thread; no mutex is held. Calls on_growth for each demand that ended. */
void wbi_round(struct wbi_budget *budget);

#endif
