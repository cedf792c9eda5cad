#include <stdarg.h>
#include <stdio.h>

#include "perf/options.h"

void option_words_add(struct option_words *words, const char *word)
{
    if (words->count < OPTION_WORDS) {
        words->word[words->count++] = word;
    }
}

void option_words_addf(struct option_words *words, const char *format, ...)
{
    char *made = words->made[words->count % OPTION_WORDS];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(made, OPTION_WORD_ROOM, format, arguments);
    va_end(arguments);
    option_words_add(words, made);
}

void option_words_begin(struct option_words *words, const struct options *o)
{
    *words = (struct option_words){0};
    option_words_add(words, "wb_perf");
    option_words_add(words, test_name(o->test));
    option_words_addf(words, "--path=%s", path_name(o->path));
    if (o->trace_path != NULL) {
        option_words_add(words, "--trace");
        option_words_add(words, o->trace_path);
    } else {
        option_words_addf(words, "--size=%zu:%zu", o->size_min, o->size_max);
    }
    if (o->trace_path == NULL && o->reply > 0) {
        option_words_addf(words, "--reply=%zu", o->reply);
    }
    if (o->window_min > 0) {
        option_words_addf(words, "--window=%u:%u", o->window_min, o->window_max);
    }
    option_words_addf(words, "--chunks=%u", o->chunks);
    option_words_addf(words, "--threads=%u", o->threads);
    option_words_addf(words, "--peers=%u", o->peers);
    if (o->processes > 0) {
        option_words_addf(words, "--processes=%u", o->processes);
    }
    if (o->cpu[0] != NO_CPU) {
        option_words_addf(words, "--cpu=%d,%d", o->cpu[0], o->cpu[1]);
    }
    if (o->devices != NULL) {
        option_words_add(words, "--device");
        option_words_add(words, o->devices);
    }
    if (o->same) {
        option_words_add(words, "--same");
    }
    if (o->verify) {
        option_words_add(words, "--verify");
    }
}
