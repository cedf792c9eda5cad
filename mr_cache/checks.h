/*
 * What a pool with checks knows of each block beyond its descriptor, in private memory: who
 * allocated it, how many bytes were asked for, and what lies behind them and in it while it is
 * free. The dearer prices of enum wb_rma_checks; a pool without them has no notes.
 */
#ifndef WBI_MR_CACHE_CHECKS_H
#define WBI_MR_CACHE_CHECKS_H

#include "mr_cache/pool.h"

enum { WBI_CANARY_BYTES = 16 /* at least so many behind what was asked for */ };

struct wbi_note {
    size_t asked;      /* bytes; the canary is from there to the end of the block */
    const void *given; /* the address that the program got */
    const void *site;  /* the return address of whoever allocated it last, */
    bool held;
    bool let_go;    /* the program has freed it: who holds it now holds it for a peer */
    bool was_freed; /* it is filled, so that a write to free memory shows */
};

/* Sites that are no place in the program. */
extern const char wbi_site_landing[], wbi_site_engine[];

/* Names the caller of the allocation that this thread begins: its return address. */
void wbi_checks_from(const struct wb_rma_allocator *pool, const void *site);
/* The same where nobody was named. */
void wbi_checks_default(const struct wb_rma_allocator *pool, const void *site);

/* The block was taken for `asked` bytes, or is given back; ends the program with a line on stderr
 * where its memory was written to while it was free, or behind its end. No mutex is held, and the
 * block is in nobody's hands else. */
void wbi_checks_begin(struct wb_rma_block *block, size_t asked);
void wbi_checks_end(struct wb_rma_block *block);

/* The program frees the block, which somebody else holds, too; ends the program where it had done
 * so before. */
void wbi_checks_let_go(struct wb_rma_block *block);

/* The program gets `bytes` at `given` inside the block, not all of it: moves the canary there. */
void wbi_checks_given(struct wb_rma_block *block, void *given, size_t bytes);

/* Counts an operation, and ends the program where it is time to look at the pool's books and they
 * are wrong. No mutex is held. */
void wbi_checks_books(struct wb_rma_allocator *pool);

static inline struct wbi_note *wbi_note_of(const struct wb_rma_block *block)
{
    return block->run->notes ? &block->run->notes[block - block->run->blocks] : NULL;
}

#endif
