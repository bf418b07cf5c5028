/* A diagnosis as the JSON that other programs read: "heaptap.diagnose/1". */
#ifndef HEAPTAP_DIAGNOSE_DIAGNOSIS_JSON_H
#define HEAPTAP_DIAGNOSE_DIAGNOSIS_JSON_H

#include "diagnose/diagnosis.h"

#include <cjson/cJSON.h>

/* Owned by the caller; NULL when memory is out. Every key is always there, null where nothing is
 * known. */
cJSON *diagnosis_json(const struct diagnosis *d);

/* One suspect's object alone, as the record keeps it. */
cJSON *diagnosis_suspect_json(const struct diagnosis_suspect *s, size_t rank);

#endif
