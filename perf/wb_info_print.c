#include "perf/wb_info_print.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { INDENT = 2, NAME_WIDTH = 24 };

static void json_string(const char *text)
{
    putchar('"');
    for (const char *at = text; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        if (c == '"' || c == '\\') {
            printf("\\%c", c);
        } else if (c < 0x20) {
            printf("\\u%04x", (unsigned)c);
        } else {
            putchar(c);
        }
    }
    putchar('"');
}

/* What stands before an entry of the open group. */
static void json_entry(struct printer *printer, const char *name)
{
    fputs(printer->filled ? "," : "", stdout);
    printer->filled = true;
    if (name != NULL) {
        json_string(name);
        putchar(':');
    }
}

void print_begin(struct printer *printer, const char *name)
{
    if (printer->json) {
        json_entry(printer, name);
        putchar('{');
    } else if (name != NULL) {
        printf("%*s%s\n", (printer->depth - 1) * INDENT, "", name);
    }
    printer->depth++;
    printer->filled = false;
}

void print_end(struct printer *printer)
{
    printer->depth--;
    printer->filled = true;
    if (printer->json) {
        fputs(printer->depth == 0 ? "}\n" : "}", stdout);
    }
}

void print_value(struct printer *printer, const char *name, const char *value)
{
    if (printer->json) {
        json_entry(printer, name);
        json_string(value);
        return;
    }
    int indent = (printer->depth - 1) * INDENT;
    printf("%*s%-*s %s\n", indent, "", NAME_WIDTH - indent, name, value);
}

void print_valuef(struct printer *printer, const char *name, const char *format, ...)
{
    char value[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    print_value(printer, name, value);
}

void print_lines(struct printer *printer, const char *lines)
{
    while (*lines != '\0') {
        size_t length = strcspn(lines, "\n");
        char line[256];
        snprintf(line, sizeof line, "%.*s", (int)length, lines);
        char *value = line + strcspn(line, " ");
        if (*value != '\0') {
            *value++ = '\0';
        }
        if (line[0] != '\0') {
            print_value(printer, line, value + strspn(value, " "));
        }
        lines += length + (lines[length] == '\n');
    }
}
