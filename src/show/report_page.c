/* The report as one page: the template with style, scripts and the document put in. */
#include "show/report.h"
#include "base/text.h"
#include "base/uuid.h"

#include <string.h>

/* src/show/report/ and Debian's chart.min.js, by cmake/embed.cmake. */
extern const char report_page_html[], report_page_css[], report_page_js[], report_chart_js[];

/* Valid JSON that may stand within a script element: "<" could begin "</script>" or "<!--". */
static int add_data(struct buf *out, const cJSON *document)
{
    char *json = cJSON_PrintUnformatted(document);
    struct buf visible = buf_new(REPORT_MAX);
    int rc = json ? text_add_visible_json(&visible, json, strlen(json)) : ERR_NOMEM;
    const char *c = visible.data ? visible.data : "";
    while (rc == 0 && *c) {
        size_t plain = strcspn(c, "<>&");
        rc = buf_add(out, c, plain);
        c += plain;
        if (rc == 0 && *c)
            rc = buf_addf(out, "\\u%04x", (unsigned)(unsigned char)*c++);
    }
    buf_free(&visible);
    cJSON_free(json);
    return rc;
}

static int add_html(struct buf *out, const char *text)
{
    struct buf visible = buf_new(REPORT_MAX);
    int rc = text_add_visible(&visible, text, strlen(text));
    const char *c = visible.data ? visible.data : "";
    while (rc == 0 && *c) {
        size_t plain = strcspn(c, "<>&\"'");
        rc = buf_add(out, c, plain);
        c += plain;
        if (rc == 0 && *c)
            rc = buf_addf(out, "&#%u;", (unsigned)(unsigned char)*c++);
    }
    buf_free(&visible);
    return rc;
}

static int add_part(
    struct buf *out, const char *name, size_t length, const cJSON *document, const char *nonce)
{
    const struct {
        const char *name, *text;
    } files[] = {
        {"style", report_page_css}, {"chart", report_chart_js}, {"script", report_page_js}};
    if (length == strlen("nonce") && memcmp(name, "nonce", length) == 0)
        return buf_add_text(out, nonce);
    if (length == strlen("data") && memcmp(name, "data", length) == 0)
        return add_data(out, document);
    if (length == strlen("title") && memcmp(name, "title", length) == 0) {
        const char *headline =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(document, "headline"));
        return add_html(out, headline ? headline : "Memory of a run");
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (length == strlen(files[i].name) && memcmp(name, files[i].name, length) == 0)
            return buf_add_text(out, files[i].text);
    return ERR_INTERNAL;
}

int report_page(const cJSON *document, struct buf *ret, struct err *e)
{
    char nonce[UUID_TEXT_SIZE];
    const char *c = report_page_html;
    int rc = uuid_new(nonce, e);
    if (rc)
        return rc;
    while (rc == 0 && *c) {
        const char *open = strstr(c, "{{"), *close = open ? strstr(open, "}}") : NULL;
        if (!close) {
            rc = buf_add_text(ret, c);
            break;
        }
        rc = buf_add(ret, c, (size_t)(open - c));
        if (rc == 0)
            rc = add_part(ret, open + 2, (size_t)(close - open - 2), document, nonce);
        c = close + 2;
    }
    return rc ? err_set(e, rc, rc == ERR_FULL ? "the report is too large" : "out of memory") : 0;
}
