#include "perf/tune_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <waybill/version.h>

void tune_report_head(const struct tune_options *options)
{
    if (options->format == FORMAT_TEXT) {
        printf("# Waybill %s: wb_perf tune, fabric %s: one call at a time, whole round trips\n",
               wb_version(), options->fabric);
        fflush(stdout);
    }
}

static void text(const struct tune_race *race, uint32_t before, uint32_t value)
{
    printf("\n# %s: %" PRIu32 " (default %" PRIu32 ")\n", race->field, value, before);
    printf("# %-10s%12s%12s%10s%10s\n", "Size (B)", "Below us", "Above us", "Ratio", "Slices");
    for (size_t i = 0; i < race->rows; i++) {
        const struct tune_row *row = &race->row[i];
        printf("%-12zu%12.3f%12.3f%10.3f%10zu\n", row->size, row->below_us, row->above_us,
               row->ratio, row->slices);
    }
}

static void json(const struct tune_options *options, const struct tune_race *race, uint32_t before,
                 uint32_t value)
{
    printf("{\"field\":\"%s\",\"fabric\":\"%s\",\"value\":%" PRIu32 ",\"default\":%" PRIu32
           ",\"sizes\":[",
           race->field, options->fabric, value, before);
    for (size_t i = 0; i < race->rows; i++) {
        const struct tune_row *row = &race->row[i];
        printf("%s{\"size\":%zu,\"below_us\":%.4f,\"above_us\":%.4f,\"ratio\":%.4f,\"slices\":%zu}",
               i > 0 ? "," : "", row->size, row->below_us, row->above_us, row->ratio, row->slices);
    }
    printf("]}\n");
}

void tune_report_race(const struct tune_options *options, const struct tune_race *race,
                      uint32_t before, uint32_t value)
{
    if (options->format == FORMAT_JSON) {
        json(options, race, before, value);
    } else {
        text(race, before, value);
    }
    fflush(stdout); /* the next race may take long */
}

void tune_report_config(const struct tune_options *options, const struct wb_engine_config *config)
{
    if (options->format != FORMAT_TEXT) {
        return;
    }
    printf("\n# to paste behind wb_engine_config_default(&config), of both sides\n"
           "config.eager_bytes = %" PRIu32 ";\n"
           "config.pointer_threshold = %" PRIu32 ";\n"
           "config.rma_threshold = %" PRIu32 ";\n",
           config->eager_bytes, config->pointer_threshold, config->rma_threshold);
}
