#include "perf/common_words.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/common_say.h"

int words_index(const char *word, const char *const names[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(word, names[i]) == 0) {
            return (int)i;
        }
    }
    return -1;
}

int words_number(const char *text, uint64_t max, uint64_t *number, const char **end)
{
    char *after = NULL;
    if (text[0] < '0' || text[0] > '9') {
        return -1;
    }
    errno = 0;
    unsigned long long value = strtoull(text, &after, 10);
    if (errno != 0 || value > max) {
        return -1;
    }
    *number = value;
    *end = after;
    return 0;
}

int words_bytes(const char *text, size_t *bytes, const char **end)
{
    const uint64_t largest = (uint64_t)1 << 40;
    uint64_t number = 0;
    if (words_number(text, largest, &number, end) != 0) {
        return -1;
    }
    const char *const suffixes = "KMG";
    const char *suffix = **end != '\0' ? strchr(suffixes, **end) : NULL;
    unsigned shift = suffix != NULL ? 10U * (unsigned)(suffix - suffixes + 1) : 0;
    if (number > largest >> shift) {
        return -1;
    }
    *bytes = (size_t)(number << shift);
    *end += suffix != NULL;
    return 0;
}

int words_between(const char *option, const char *text, uint64_t low, uint64_t high,
                  uint64_t *number)
{
    const char *end = text;
    uint64_t value;
    if (words_number(text, high, &value, &end) != 0 || *end != '\0' || value < low) {
        return say(EXIT_USAGE, "--%s %s: not a whole number from %llu to %llu", option, text,
                   (unsigned long long)low, (unsigned long long)high);
    }
    *number = value;
    return 0;
}

int words_count(const char *option, const char *text, uint64_t max, uint64_t *count)
{
    const char *end = text;
    if (words_number(text, max, count, &end) != 0 || *end != '\0' || *count == 0) {
        return say(EXIT_USAGE, "--%s %s: not a whole number from 1 to %llu", option, text,
                   (unsigned long long)max);
    }
    return 0;
}

int words_range(const char *option, const char *text, uint32_t max, uint32_t *first, uint32_t *last)
{
    uint64_t low = 0, high = 0;
    const char *end = text;
    int wrong = words_number(text, max, &low, &end);
    high = low;
    if (wrong == 0 && *end == ':') {
        wrong = words_number(end + 1, max, &high, &end);
    }
    if (wrong != 0 || *end != '\0' || low == 0 || high < low) {
        return say(EXIT_USAGE, "--%s %s: not N or N:M with 1 <= N <= M <= %lu", option, text,
                   (unsigned long)max);
    }
    *first = (uint32_t)low;
    *last = (uint32_t)high;
    return 0;
}

int words_size(const char *option, const char *text, size_t *bytes)
{
    const char *end = text;
    if (words_bytes(text, bytes, &end) != 0 || *end != '\0' || *bytes == 0) {
        return say(EXIT_USAGE, "--%s %s: not bytes from 1 to 1024G (suffixes K, M, G)", option,
                   text);
    }
    return 0;
}

int words_sizes(const char *text, size_t *min, size_t *max)
{
    const char *end = text;
    int wrong = words_bytes(text, min, &end);
    *max = *min;
    if (wrong == 0 && *end == ':') {
        wrong = words_bytes(end + 1, max, &end);
    }
    if (wrong != 0 || *end != '\0' || *max < *min || *min == 0) {
        return say(EXIT_USAGE,
                   "--size %s: not N or N:M bytes with 1 <= N <= M <= 1024G (suffixes K, M, G)",
                   text);
    }
    return 0;
}

int words_seconds(const char *text, double *seconds)
{
    char *end = NULL;
    *seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(*seconds) || *seconds <= 0 || *seconds > 86400) {
        return say(EXIT_USAGE, "--time %s: not a number of seconds above 0 (and at most 86400)",
                   text);
    }
    return 0;
}

int words_choice(const char *option, const char *text, const char *const names[], size_t count,
                 size_t first, int *choice)
{
    char list[80] = "";
    size_t used = 0;
    *choice = words_index(text, names, count);
    if (*choice >= (int)first) {
        return 0;
    }
    for (size_t i = first; i < count && used < sizeof list; i++) {
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i > first ? ", " : "",
                                 names[i]);
    }
    return say(EXIT_USAGE, "--%s %s: not one of %s", option, text, list);
}

int words_format(const char *text, enum format last, enum format *format)
{
    static const char *const names[] = {"text", "json", "csv"};
    int choice = 0;
    size_t count = last == FORMAT_CSV ? COUNT_OF(names) : COUNT_OF(names) - 1;
    int wrong = words_choice("format", text, names, count, 0, &choice);
    *format = wrong == 0 ? (enum format)choice : *format;
    return wrong;
}

int words_fabric(const char *text, char fabric[FABRIC_ROOM])
{
    if (text[0] == '\0' || strlen(text) >= FABRIC_ROOM) {
        return say(EXIT_USAGE, "--fabric %s: no name of a fabric; wb_info lists what is here",
                   text);
    }
    snprintf(fabric, FABRIC_ROOM, "%s", text);
    return 0;
}

int words_fd(const char *option, const char *text, int *fd)
{
    uint64_t number = 0;
    const char *end = text;
    if (words_number(text, 1 << 20, &number, &end) != 0 || *end != '\0') {
        return say(EXIT_USAGE, "--%s %s: not a descriptor; the program itself uses this option",
                   option, text);
    }
    *fd = (int)number;
    return 0;
}
