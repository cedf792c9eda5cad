#include "mr_cache/room.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { LINE = 1024, PATH = 2048 };

/* The files of a version of control groups, and the words by which its lines are known. */
struct version {
    const char *type;       /* of its mount */
    const char *controller; /* in that mount's options, and in the process's line; or NULL */
    const char *limit, *usage;
    const char *swap_limit, *swap_usage;
    bool swap_has_memory;  /* these two are of both together */
    const char *cached[2]; /* in memory.stat: what is given back before anybody is killed */
};

static const struct version versions[] = {
    {.type = "cgroup2",
     .limit = "memory.max",
     .usage = "memory.current",
     .swap_limit = "memory.swap.max",
     .swap_usage = "memory.swap.current",
     .cached = {"inactive_file", "active_file"}},
    {.type = "cgroup",
     .controller = "memory",
     .limit = "memory.limit_in_bytes",
     .usage = "memory.usage_in_bytes",
     .swap_limit = "memory.memsw.limit_in_bytes",
     .swap_usage = "memory.memsw.usage_in_bytes",
     .swap_has_memory = true,
     .cached = {"total_inactive_file", "total_active_file"}},
};

/* A path of three parts; an empty one, which nothing has, where it is too long. */
static void join(char path[PATH], const char *first, const char *second, const char *third)
{
    int length = snprintf(path, PATH, "%s%s%s", first, second, third);

    if (length < 0 || length >= PATH)
        *path = '\0';
}

static void lower(struct wbi_room *room, uint64_t bytes, const char *limit)
{
    if (bytes >= room->bytes)
        return;
    room->bytes = bytes;
    (void)snprintf(room->limit, sizeof room->limit, "%.500s", limit);
}

/* Calls visit for each line of a file, without its end, until it says true; false: it never did. */
static bool visit_lines(const char *path, bool (*visit)(char *line, void *context), void *context)
{
    FILE *file = fopen(path, "re");
    char line[LINE];
    bool done = false;

    if (!file)
        return false;
    while (!done && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        done = visit(line, context);
    }
    (void)fclose(file);
    return done;
}

/* A number that a line begins with, or that follows a name there. */
struct number {
    const char *name; /* or NULL */
    uint64_t value;
};

static bool read_number(char *line, void *context)
{
    struct number *number = context;
    size_t length = number->name ? strlen(number->name) : 0;

    if (number->name && (strncmp(line, number->name, length) != 0 || line[length] != ' '))
        return false;
    return sscanf(line + length, " %" SCNu64, &number->value) == 1; /* "max" is none */
}

/* The number in a file of a directory, `otherwise` where there is none. */
static uint64_t number_in(const char *directory, const char *file, const char *name,
                          uint64_t otherwise)
{
    struct number number = {.name = name};
    char path[PATH];

    join(path, directory, "/", file);
    return visit_lines(path, read_number, &number) ? number.value : otherwise;
}

/* ---- the machine ---- */

struct meminfo {
    uint64_t available_kib, swap_kib;
};

static bool read_meminfo(char *line, void *context)
{
    struct meminfo *meminfo = context;

    (void)sscanf(line, "MemAvailable: %" SCNu64, &meminfo->available_kib);
    (void)sscanf(line, "SwapFree: %" SCNu64, &meminfo->swap_kib);
    return false;
}

/* Returns the bytes of swap that are free. */
static uint64_t ask_machine(const char *root, struct wbi_room *room)
{
    struct meminfo meminfo = {0};
    char path[PATH];

    join(path, root, "/proc/meminfo", "");
    (void)visit_lines(path, read_meminfo, &meminfo);
    if (meminfo.available_kib)
        lower(room, (meminfo.available_kib + meminfo.swap_kib) * 1024,
              "MemAvailable and SwapFree in /proc/meminfo");
    return meminfo.swap_kib * 1024;
}

/* ---- control groups ---- */

/* Where the groups of a version are, and which one the process is in. */
struct place {
    const struct version *version;
    char mount[LINE]; /* where they can be seen, */
    char top[LINE];   /* from this one down, */
    char group[LINE]; /* and the process's own; empty: not found */
};

/* Whether a list with commas between has that word. */
static bool has_word(const char *list, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = list; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return true;
    }
    return false;
}

/* Of /proc/self/mountinfo: numbers, the top, the mount, options, " - ", type, source, options. */
static bool find_mount(char *line, void *context)
{
    struct place *place = context;
    const struct version *version = place->version;
    char type[64], options[LINE];
    const char *rest = strstr(line, " - ");

    if (!rest || sscanf(rest, " - %63s %*s %1023s", type, options) != 2 ||
        strcmp(type, version->type) != 0 ||
        (version->controller && !has_word(options, version->controller)))
        return false;
    return sscanf(line, "%*s %*s %*s %1023s %1023s", place->top, place->mount) == 2;
}

/* Of /proc/self/cgroup: "number:controllers:group", without number and controllers in version 2. */
static bool find_group(char *line, void *context)
{
    struct place *place = context;
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;

    if (!group)
        return false;
    *group++ = '\0';
    if (place->version->controller ? !has_word(controllers + 1, place->version->controller)
                                   : controllers[1] != '\0')
        return false;
    (void)snprintf(place->group, sizeof place->group, "%s", group);
    return true;
}

/* What a limit of a group leaves, of which `cached` bytes may be given back; UINT64_MAX: there is
 * no limit. */
static uint64_t left_in(const char *directory, const char *limit, const char *usage,
                        uint64_t cached)
{
    uint64_t most = number_in(directory, limit, NULL, UINT64_MAX);
    uint64_t used = number_in(directory, usage, NULL, 0);

    used -= cached < used ? cached : used;
    if (most == UINT64_MAX)
        return most;
    return most > used ? most - used : 0;
}

static void ask_group(const struct version *version, const char *directory, uint64_t free_swap,
                      struct wbi_room *room)
{
    uint64_t cached = number_in(directory, "memory.stat", version->cached[0], 0) +
                      number_in(directory, "memory.stat", version->cached[1], 0);
    uint64_t left = left_in(directory, version->limit, version->usage, cached);
    uint64_t swap = left_in(directory, version->swap_limit, version->swap_usage,
                            version->swap_has_memory ? cached : 0);
    char path[PATH];

    if (version->swap_has_memory) {
        join(path, directory, "/", version->swap_limit);
        lower(room, swap, path);
        swap = free_swap;
    }
    if (left == UINT64_MAX)
        return;
    join(path, directory, "/", version->limit);
    lower(room, left + (swap < free_swap ? swap : free_swap), path);
}

/* The path of the process's group below the mount, empty where that does not show it. */
static char *group_below(struct place *place)
{
    size_t top = strcmp(place->top, "/") == 0 ? 0 : strlen(place->top);
    char *group = place->group + top;

    if (strncmp(place->group, place->top, top) == 0 && (*group == '/' || *group == '\0') &&
        !strstr(place->group, "/.."))
        return group;
    return place->group + strlen(place->group);
}

/* The process's group and all above it that can be seen. */
static void ask_groups(const char *root, const struct version *version, uint64_t free_swap,
                       struct wbi_room *room)
{
    struct place place = {.version = version};
    char path[PATH];

    join(path, root, "/proc/self/mountinfo", "");
    if (!visit_lines(path, find_mount, &place))
        return;
    join(path, root, "/proc/self/cgroup", "");
    (void)visit_lines(path, find_group, &place);
    char *group = group_below(&place);
    for (;;) {
        join(path, root, place.mount, group);
        ask_group(version, path, free_swap, room);
        char *last = strrchr(group, '/');
        if (!last)
            return;
        *last = '\0';
    }
}

void wbi_room_read(const char *root, struct wbi_room *out)
{
    *out = (struct wbi_room){.bytes = UINT64_MAX};
    uint64_t free_swap = ask_machine(root, out);
    for (unsigned i = 0; i < sizeof versions / sizeof versions[0]; i++)
        ask_groups(root, &versions[i], free_swap, out);
}
