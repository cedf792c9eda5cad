#include "perf/demo_record_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/common_say.h"

enum { FILE_MAX = 16 << 20 };

/* A terminated text that is read from `at` on; failed is sticky, and names what was expected there.
 */
struct text {
    char *begin, *at;
    size_t length;
    const char *failed;
};

static bool fail(struct text *text, const char *expected)
{
    if (text->failed == NULL) {
        text->failed = expected;
    }
    return false;
}

/* Passes over white space, and over `c` if it is there. */
static bool accept(struct text *text, char c)
{
    while (isspace((unsigned char)*text->at)) {
        text->at++;
    }
    if (*text->at != c || c == '\0') {
        return false;
    }
    text->at++;
    return true;
}

/* Reads a string; *string points into the text. */
static bool read_string(struct text *text, char **string, size_t *length)
{
    if (!accept(text, '"')) {
        return fail(text, "a string");
    }
    *length = strcspn(text->at, "\"\\");
    if (text->at[*length] != '"') {
        return fail(text, "a string without escape sequences");
    }
    *string = text->at;
    text->at += *length + 1;
    return true;
}

static bool read_integer(struct text *text, int64_t *integer)
{
    char *end = NULL;
    accept(text, '\0');
    errno = 0;
    long long value = strtoll(text->at, &end, 10);
    if (end == text->at || errno != 0 || *end == '.' || *end == 'e' || *end == 'E') {
        return fail(text, "a 64-bit integer");
    }
    text->at = end;
    *integer = value;
    return true;
}

static bool read_ids(struct text *text, struct record *record)
{
    if (record->ids != NULL || !accept(text, '[')) {
        return fail(text, "one array of ids");
    }
    /* Each id but the last takes two bytes at least. */
    record->ids = calloc(text->length / 2 + 1, sizeof *record->ids);
    if (record->ids == NULL) {
        return fail(text, "enough memory");
    }
    do {
        if (!read_integer(text, &record->ids[record->id_count])) {
            return false;
        }
        record->id_count++;
    } while (accept(text, ','));
    return accept(text, ']') || fail(text, "',' or ']'");
}

static bool read_member(struct text *text, struct record *record)
{
    char *name = NULL, *string = NULL;
    size_t name_len = 0, string_len = 0;
    int64_t integer = 0;
    if (!read_string(text, &name, &name_len)) {
        return false;
    }
    if (!accept(text, ':')) {
        return fail(text, "':'");
    }
    name[name_len] = '\0'; /* where the quote was */
    if (strcmp(name, "ids") == 0) {
        return read_ids(text, record);
    }
    if (strcmp(name, "string_count") == 0) {
        bool good = read_integer(text, &integer) && integer > 0;
        record->string_count = good ? (size_t)integer : 0;
        return good || fail(text, "a count");
    }
    if (strcmp(name, "string") != 0) {
        accept(text, '\0');
        return *text->at == '"' ? read_string(text, &string, &string_len)
                                : read_integer(text, &integer);
    }
    if (!read_string(text, &string, &string_len)) {
        return false;
    }
    free(record->string);
    record->string = malloc(string_len + 1);
    if (record->string == NULL) {
        return fail(text, "enough memory");
    }
    memcpy(record->string, string, string_len);
    record->string_len = string_len;
    return true;
}

static bool read_object(struct text *text, struct record *record)
{
    if (!accept(text, '{')) {
        return fail(text, "'{'");
    }
    do {
        if (!read_member(text, record)) {
            return false;
        }
    } while (accept(text, ','));
    if (!accept(text, '}')) {
        return fail(text, "',' or '}'");
    }
    accept(text, '\0');
    if (text->at != text->begin + text->length) {
        return fail(text, "the end");
    }
    bool whole = record->id_count > 0 && record->string != NULL && record->string_count > 0;
    return whole || fail(text, "\"ids\", \"string\" and \"string_count\" before");
}

/* Reads the whole file into *text; *why says what failed. */
static bool read_all(struct text *text, FILE *file, const char **why)
{
    text->begin = malloc(FILE_MAX + 1);
    if (text->begin == NULL) {
        *why = "no memory";
        return false;
    }
    text->length = fread(text->begin, 1, FILE_MAX, file);
    text->begin[text->length] = '\0';
    text->at = text->begin;
    *why = ferror(file) ? strerror(errno) : "it is larger than 16 MiB";
    return !ferror(file) && fgetc(file) == EOF;
}

int record_read(struct record *record, const char *path)
{
    struct text text = {0};
    *record = (struct record){0};
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return say(EXIT_FAILURE, "cannot read %s: %s; give the file with --record", path,
                   strerror(errno));
    }
    const char *why = "";
    bool whole = read_all(&text, file, &why);
    fclose(file);
    int wrong = 0;
    if (!whole) {
        wrong = say(EXIT_FAILURE, "cannot read %s: %s", path, why);
    } else if (!read_object(&text, record)) {
        wrong = say(EXIT_FAILURE, "%s: expected %s at byte %td", path, text.failed,
                    text.at - text.begin);
    }
    free(text.begin);
    if (wrong != 0) {
        record_drop(record);
    }
    return wrong;
}

void record_drop(struct record *record)
{
    free(record->ids);
    free(record->string);
    *record = (struct record){0};
}
