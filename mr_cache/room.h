/* How much memory this process can still get before somebody is killed for it. */
#ifndef WBI_MR_CACHE_ROOM_H
#define WBI_MR_CACHE_ROOM_H

#include <stdint.h>

struct wbi_room {
    uint64_t bytes;  /* UINT64_MAX where nothing says */
    char limit[512]; /* what says so: a file's path, cut */
};

/*
 * Reads the smallest of what the machine has (MemAvailable and SwapFree) and what the process's
 * control groups leave: memory.max or, in version 1, memory.limit_in_bytes, of its own group and of
 * all above it, less what they use but for cached files, and the swap that they may have yet (which
 * version 1 limits together with memory: memory.memsw.limit_in_bytes). `root` goes before each
 * path: "" but in tests. Any thread. What cannot be read is no limit.
 */
void wbi_room_read(const char *root, struct wbi_room *out);

#endif
