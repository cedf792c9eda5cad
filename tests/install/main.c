/* A program outside the tree: it fails where it runs on another Waybill than it was built for. */
#include <stdio.h>
#include <string.h>
#include <waybill/waybill.h>

int main(void)
{
    char built_for[64];
    snprintf(built_for, sizeof built_for, "%d.%d.%d", WB_VERSION_MAJOR, WB_VERSION_MINOR,
             WB_VERSION_PATCH);
    if (strcmp(built_for, wb_version()) != 0) {
        fprintf(stderr, "built for %s, runs on %s\n", built_for, wb_version());
        return 1;
    }
    if (strcmp(wb_status_text(WB_OK), wb_status_text(WB_ERR_REFUSED)) == 0) {
        fprintf(stderr, "two statuses share the sentence \"%s\"\n", wb_status_text(WB_OK));
        return 1;
    }
    puts(wb_version());
    return 0;
}
