/* Lines that allocate what stays, joined to suspects. What a package or the runtime allocates
 * counts for the line of the program that asked for it. */
#ifndef HEAPTAP_DIAGNOSE_LINES_H
#define HEAPTAP_DIAGNOSE_LINES_H

#include "diagnose/evidence.h"

#define LINES_BYTES 4096 /* growth under it is chance: a sample stands for more */

/* Fills the suspects' sites, those most likely first. */
int lines_merge(struct diagnosis *d, const struct evidence_target *t, struct err *e) MUST_USE;

/* Live bytes that came while the site was watched. */
double lines_growth(const struct evidence_site *site);

#endif
