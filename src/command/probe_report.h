/* What a probe has found: what each route keeps, judged from its floors, in words and as JSON. */
#ifndef HEAPTAP_COMMAND_PROBE_REPORT_H
#define HEAPTAP_COMMAND_PROBE_REPORT_H

#include "collect/probe.h"
#include "command/recap.h"
#include "diagnose/floors.h"

#include <cjson/cJSON.h>

/* Valid as long as the probe is. */
struct probe_report {
    const struct probe *probe;
    struct probe_facts facts;
    struct routes_estimate *estimates; /* owned; as many as routes */
    struct routes_summary summary;
    struct floors_beside beside;
};

int probe_report_make(const struct probe *probe, struct probe_report *ret, struct err *e) MUST_USE;
void probe_report_clear(struct probe_report *r);

/* diagnosis may be NULL. */
int probe_report_json(const struct show_out *out, const struct probe_report *r,
    const struct recap_end *end, const cJSON *diagnosis, struct err *e) MUST_USE;
int probe_report_text(const struct show_out *out, const struct probe_report *r,
    const struct recap_end *end, struct err *e) MUST_USE;

/* Why there is nothing to judge by. */
enum probe_failing {
    PROBE_MEASURED,
    PROBE_UNSERVED, /* the target has served none of the requests, or hardly any */
    PROBE_SHORT,    /* too few rounds */
};
enum probe_failing probe_report_failing(const struct probe_report *r);

/* Whether a route surely leaks and keeps more than most bytes a request. */
bool probe_report_exceeds(const struct probe_report *r, double most);

#endif
