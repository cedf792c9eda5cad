#include "tests/wb_sim/wishes.h"

#include "tests/support/pattern.h"
#include "tests/wb_sim/actions.h"
#include "tests/wb_sim/play.h"

enum {
    MOST_TEXT = 8192,
    MOST_RAW = 65536,
    MOST_VECTOR = 1 << 18,
    HUGE_VECTOR = 3 << 20 /* beyond a slab: the pool grows */
};

const uint64_t wishes_patient_us = 600000000;

/* Where the program has all of a small pool a call needs a deadline, and not too late. */
static const uint64_t tight_us = 30000000;

static uint32_t some_wish(struct play *play)
{
    uint32_t wish = 0;
    wish |= play_chance(play, 60) ? (uint32_t)WISH_FAIL : 0;
    wish |= play_chance(play, 300) ? (uint32_t)WISH_ECHO : 0;
    wish |= play_chance(play, 100) ? (uint32_t)WISH_KEEP : 0;
    wish |= play_chance(play, 150) ? (uint32_t)WISH_MAKE : 0;
    wish |= play_chance(play, 60) ? (uint32_t)WISH_CALL_BACK : 0;
    wish |= play_chance(play, 20) ? (uint32_t)WISH_STALL : 0;
    return wish;
}

static void draw_sizes(struct play *play, struct entry *entry)
{
    entry->text_bytes = play_chance(play, 500) ? (uint32_t)play_size(play, MOST_TEXT) : 0;
    entry->raw_bytes = play_chance(play, 400) ? (uint32_t)play_size(play, MOST_RAW) : 0;
    if (play_chance(play, 400)) {
        uint64_t most = !play->tight && play_chance(play, 4) ? HUGE_VECTOR : MOST_VECTOR;
        entry->elem_size = play_chance(play, 500) ? 8 : 1;
        entry->elem_count = (uint32_t)(play_size(play, most) / entry->elem_size);
    }
    if ((entry->wish & WISH_MAKE) != 0) {
        entry->reply_bytes = (uint32_t)play_size(play, MOST_RAW);
    }
}

static void draw(struct play *play, struct entry *entry)
{
    static const uint64_t timeouts_us[] = {300, 3000, 50000, 1000000};
    entry->kind = play_chance(play, 100) ? CALL_MANY : CALL_WORK;
    entry->kind = play_chance(play, 10) ? CALL_ABSENT : entry->kind;
    entry->wish = entry->kind == CALL_WORK ? some_wish(play) : 0;
    entry->again = play_chance(play, 50) ? 1 + (uint32_t)play_below(play, 5) : 0;
    entry->flags = play_chance(play, 100) ? WB_CALL_COPY : 0;
    entry->tight = play_chance(play, 30);
    entry->timeout_us = play->tight ? tight_us : wishes_patient_us;
    if (play_chance(play, 200)) {
        entry->timeout_us = timeouts_us[play_below(play, 4)];
    }
    if (entry->kind != CALL_ABSENT) {
        draw_sizes(play, entry);
    }
}

/* Out of its number alone: what is drawn besides stays as it was. */
static void draw_ends(const struct play *play, struct entry *entry)
{
    uint64_t random = play->seed ^ entry->number << 32;
    uint64_t kind = test_pattern_random(&random) % 16;
    if (play->options->gives_up) {
        entry->spoils = kind < 4;
        entry->patience_us =
            kind % 8 == 1 ? 1 + (uint32_t)(test_pattern_random(&random) % 20000) : 0;
        entry->own = entry->kind == CALL_WORK && test_pattern_random(&random) % 2 == 0;
    }
}

void wishes_draw(struct play *play, struct entry *entry)
{
    draw(play, entry);
    draw_ends(play, entry);
}
