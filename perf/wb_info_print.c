#include "perf/wb_info_print.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { INDENT = 2, NAME_WIDTH = 24, LINE_ROOM = 256 };

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

void print_list_begin(struct printer *printer, const char *name)
{
    if (printer->json) {
        json_entry(printer, name);
        putchar('[');
    }
    printer->depth++;
    printer->filled = false;
}

void print_list_end(struct printer *printer)
{
    printer->depth--;
    printer->filled = true;
    if (printer->json) {
        putchar(']');
    }
}

void print_item(struct printer *printer, const char *text)
{
    if (printer->json) {
        json_entry(printer, NULL);
        json_string(text);
    } else {
        printf("%*s%s\n", (printer->depth - 1) * INDENT, "", text);
    }
}

/* Cuts the line's first word, or `words` first words, off; returns the rest. */
static char *cut(char *line, int words)
{
    char *at = line;
    while (words-- > 0) {
        at += strcspn(at, " ");
        if (*at == '\0') {
            return at;
        }
        at += words > 0 ? strspn(at, " ") : 0;
    }
    *at++ = '\0';
    return at + strspn(at, " ");
}

static size_t take_line(const char *lines, char *line, size_t size)
{
    size_t length = strcspn(lines, "\n");
    snprintf(line, size, "%.*s", (int)length, lines);
    return length + (lines[length] == '\n');
}

/* Prints a line with the indented ones that follow, and returns what is behind them. */
static const char *print_family(struct printer *printer, char *head, const char *lines)
{
    char line[LINE_ROOM];
    char *value = cut(head, 2);
    if (!printer->json) {
        print_value(printer, head, value);
    }
    print_list_begin(printer, head);
    if (printer->json) {
        print_item(printer, value);
    }
    while (*lines == ' ') {
        lines += take_line(lines, line, sizeof line);
        print_item(printer, line + strspn(line, " "));
    }
    print_list_end(printer);
    return lines;
}

void print_lines(struct printer *printer, const char *lines)
{
    while (*lines != '\0') {
        char line[LINE_ROOM];
        lines += take_line(lines, line, sizeof line);
        if (*lines == ' ') {
            lines = print_family(printer, line, lines);
        } else if (line[0] != '\0') {
            char *value = cut(line, 1);
            print_value(printer, line, value);
        }
    }
}
