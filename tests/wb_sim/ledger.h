/*
 * The model: one entry a call, written when it is begun, looked up by its number when it is served
 * and when it has ended. It knows what the arguments are, what must come out, and how often the
 * call was executed.
 *
 *   OPEN -> ENDED (its caller knows the end), or OPEN -> ABANDONED (its caller died)
 *   executed <= 1 always; status WB_OK: executed == 1; status WB_ERR_NOT_SENT: executed == 0 for
 * ever
 */
#ifndef WAYBILL_TESTS_WB_SIM_LEDGER_H
#define WAYBILL_TESTS_WB_SIM_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum call_state { CALL_OPEN, CALL_ENDED, CALL_ABANDONED };

enum call_kind { CALL_WORK, CALL_MANY, CALL_ABSENT };

/* When its handler answers: before it returns; inside it, of a deferred call; later; never, or at
 * the end of the run. */
enum call_later { LATER_NOT, LATER_INSIDE, LATER_SOON, LATER_NEVER };

enum { CALL_MOST_RANGE = 3000 };

/* What the handler is asked to do besides: bits. */
enum call_wish {
    WISH_FAIL = 1,       /* fail with a code and a text of its own */
    WISH_ECHO = 2,       /* give the vector back */
    WISH_KEEP = 4,       /* keep it */
    WISH_MAKE = 8,       /* make a vector of reply_bytes */
    WISH_CALL_BACK = 16, /* call the caller */
    WISH_STALL = 32      /* take its time */
};

/* Which bytes a pattern is for: its seed is 4 * number + part. */
enum part { PART_TEXT, PART_RAW, PART_DATA, PART_MADE };

struct entry {
    uint64_t number;
    unsigned caller, callee; /* hosts */
    enum call_kind kind;
    uint32_t wish;
    uint32_t again; /* times that the handler says WB_AGAIN before */
    uint32_t text_bytes, raw_bytes, elem_size, elem_count, reply_bytes;
    uint32_t flags;
    bool tight;           /* the room for the reply may not suffice */
    bool spoils;          /* its arguments, as soon as they are said to be sent */
    bool own;             /* its result is to come back in a vector of its caller's */
    uint32_t patience_us; /* after which it is given up; 0: never */
    bool given_up;
    enum call_later later;
    uint32_t later_us; /* after its handler, at least */
    uint64_t timeout_us;
    uint64_t begun_ns, ended_ns; /* the world's time */
    enum call_state state;
    int status;
    uint32_t executed, said_again;
    bool answered; /* its server has executed it, was drained since, and says that all has ended */
};

struct ledger {
    struct entry *entries; /* of number i + 1 */
    size_t count, room;
};

/* A new entry with its number, otherwise zero. Valid until the next. */
struct entry *ledger_add(struct ledger *ledger);

/* NULL: there is none of that number. */
struct entry *ledger_find(struct ledger *ledger, uint64_t number);

void ledger_close(struct ledger *ledger);

/* Forgets all entries and keeps their room. */
void ledger_clear(struct ledger *ledger);

uint64_t entry_seed(const struct entry *entry, enum part part);

/* Of range `i` of a call with many: its length, less than CALL_MOST_RANGE, and its pattern's seed.
 */
size_t entry_range_bytes(const struct entry *entry, unsigned i);
uint64_t entry_range_seed(const struct entry *entry, unsigned i);

/* Bytes of the vector that comes back. */
uint64_t entry_vector_back(const struct entry *entry);

#endif
