/* Gathers what the report of a run shows, from the record and by a diagnosis. */
#ifndef HEAPTAP_COMMAND_REPORT_DATA_H
#define HEAPTAP_COMMAND_REPORT_DATA_H

#include "diagnose/diagnose.h"
#include "store/reader.h"

#include <cjson/cJSON.h>

/* The document "heaptap.report/1" (docs/report.md), owned by the caller (cJSON_Delete). A
 * diagnosis that fails is no failure: what was stored is shown, and why. ERR_DB, ERR_NOMEM,
 * ERR_CANCELLED. */
int report_gather(struct reader *reader, const char *run_id, const struct diagnose_options *options,
    cJSON **ret, struct err *e) MUST_USE;

#endif
