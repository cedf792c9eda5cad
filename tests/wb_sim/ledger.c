#include "tests/wb_sim/ledger.h"

#include <stdlib.h>

struct entry *ledger_add(struct ledger *ledger)
{
    if (ledger->count == ledger->room) {
        ledger->room = ledger->room * 2 + 1024;
        ledger->entries = realloc(ledger->entries, ledger->room * sizeof *ledger->entries);
        if (ledger->entries == NULL) {
            abort();
        }
    }
    struct entry *entry = &ledger->entries[ledger->count++];
    *entry = (struct entry){.number = ledger->count};
    return entry;
}

struct entry *ledger_find(struct ledger *ledger, uint64_t number)
{
    return number >= 1 && number <= ledger->count ? &ledger->entries[number - 1] : NULL;
}

void ledger_clear(struct ledger *ledger)
{
    ledger->count = 0;
}

void ledger_close(struct ledger *ledger)
{
    free(ledger->entries);
    *ledger = (struct ledger){0};
}

uint64_t entry_seed(const struct entry *entry, enum part part)
{
    return 4 * entry->number + (uint64_t)part;
}

size_t entry_range_bytes(const struct entry *entry, unsigned i)
{
    return (size_t)(entry->number * 131 + i * 977) % CALL_MOST_RANGE;
}

uint64_t entry_range_seed(const struct entry *entry, unsigned i)
{
    return ((uint64_t)i + 1) << 40 | entry->number;
}

uint64_t entry_vector_back(const struct entry *entry)
{
    if ((entry->wish & WISH_MAKE) != 0) {
        return entry->reply_bytes;
    }
    return (entry->wish & WISH_ECHO) != 0 ? (uint64_t)entry->elem_size * entry->elem_count : 0;
}
