/* The plot of a timeline while it records: what each moment allocated, and what of it still lives.
 * Drawn again in place, on a terminal only. */
#ifndef HEAPTAP_COMMAND_LIVEPLOT_H
#define HEAPTAP_COMMAND_LIVEPLOT_H

#include "collect/capture.h"
#include "show/out.h"

struct liveplot {
    struct show_out out;
    int lines; /* on the screen now */
    int64_t drawn_us;
};

/* Draws at most four times a second. */
void liveplot_draw(struct liveplot *p, const struct recording *recording);
/* Takes it away. */
void liveplot_clear(struct liveplot *p);

#endif
