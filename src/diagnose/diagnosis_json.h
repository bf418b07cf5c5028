/* A diagnosis as the JSON that other programs read: "heaptap.diagnose/1". */
#ifndef HEAPTAP_DIAGNOSE_DIAGNOSIS_JSON_H
#define HEAPTAP_DIAGNOSE_DIAGNOSIS_JSON_H

#include "diagnose/diagnosis.h"

#include <cjson/cJSON.h>

/* Owned by the caller; NULL when memory is out. */
cJSON *diagnosis_json(const struct diagnosis *d);

#endif
