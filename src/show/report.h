/* The report of a run: one document of JSON ("heaptap.report/1", gathered by command/report_data.c)
 * as a page for a browser or as text for a ticket.
 *
 * The page stands alone: its style, its script and the plots' library are in it, it loads nothing,
 * and a Content-Security-Policy lets nothing else run. The document goes into it as data, with
 * everything escaped that could end its element; the page's script only ever makes text of it. */
#ifndef HEAPTAP_SHOW_REPORT_H
#define HEAPTAP_SHOW_REPORT_H

#include "base/buf.h"

#include <cjson/cJSON.h>

/* Twenty times of what the queries leave of a run of a week, which is under 3 MB. */
#define REPORT_MAX (64u << 20)

/* Both append to ret, which the caller makes with buf_new(REPORT_MAX). ERR_NOMEM, ERR_FULL; the
 * document is borrowed. What is missing in it is left out. */
int report_page(const cJSON *document, struct buf *ret, struct err *e) MUST_USE;
int report_markdown(const cJSON *document, struct buf *ret, struct err *e) MUST_USE;

#endif
