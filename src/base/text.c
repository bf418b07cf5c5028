/* Text for people and text from outside. */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <wchar.h>

struct unit {
    const char *name;
    double factor;
};

/* Reads "NUMBER UNIT" without sign, exponent or hexadecimal; the unit is looked up in a list that
 * ends with a NULL name. Returns -1 if the text is of another form. */
static int parse_with_unit(const char *text, const struct unit *units, double *ret_value)
{
    size_t digits = strspn(text, "0123456789.");
    if (digits == 0 || digits > 24 || !isdigit((unsigned char)text[0]))
        return -1;
    char *end;
    double number = strtod(text, &end);
    if (end != text + digits)
        return -1;
    while (*end == ' ')
        end++;
    for (; units->name; units++) {
        if (strcasecmp(end, units->name) == 0) {
            *ret_value = number * units->factor;
            return 0;
        }
    }
    return -1;
}

int text_parse_duration(const char *text, int64_t *ret_us, struct err *e)
{
    static const struct unit units[] = {
        {"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}, {"h", 3600e6}, {"d", 86400e6}, {NULL, 0}};
    double us;
    if (parse_with_unit(text, units, &us) != 0)
        return err_set(e, ERR_USAGE,
            "\"%s\" is not a duration: write a number and its unit, such as 500ms, 60s, 5m or 2h",
            text);
    if (us > 1e15)
        return err_set(e, ERR_USAGE, "\"%s\" is too long a duration", text);
    *ret_us = (int64_t)llround(us);
    return 0;
}

int text_parse_size(const char *text, int64_t *ret_bytes, struct err *e)
{
    static const struct unit units[] = {{"", 1}, {"b", 1}, {"k", 1024}, {"kb", 1024}, {"kib", 1024},
        {"m", 1048576}, {"mb", 1048576}, {"mib", 1048576}, {"g", 1073741824}, {"gb", 1073741824},
        {"gib", 1073741824}, {"t", 1099511627776}, {"tb", 1099511627776}, {"tib", 1099511627776},
        {NULL, 0}};
    double bytes;
    if (parse_with_unit(text, units, &bytes) != 0)
        return err_set(
            e, ERR_USAGE, "\"%s\" is not a size: write it like 512KB, 2GB or 512MiB", text);
    if (bytes > 1e18)
        return err_set(e, ERR_USAGE, "\"%s\" is too large a size", text);
    *ret_bytes = (int64_t)llround(bytes);
    return 0;
}

int text_parse_share(const char *text, double *ret_share, struct err *e)
{
    static const struct unit units[] = {{"", 1}, {"%", 0.01}, {NULL, 0}};
    double share;
    if (parse_with_unit(text, units, &share) != 0 || share > 1)
        return err_set(
            e, ERR_USAGE, "\"%s\" is not a share: write it like 10%% or 0.1, at most 100%%", text);
    *ret_share = share;
    return 0;
}

int text_parse_bool(const char *text, bool *ret_value, struct err *e)
{
    static const char *const yes[] = {"true", "1", "yes", "on"};
    static const char *const no[] = {"false", "0", "no", "off"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
            *ret_value = strcasecmp(text, yes[i]) == 0;
            return 0;
        }
    }
    return err_set(
        e, ERR_USAGE, "\"%s\" is neither true nor false (true|1|yes|on, false|0|no|off)", text);
}

int text_parse_integer(
    const char *text, int64_t min, int64_t max, int64_t *ret_value, struct err *e)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    bool plain = isdigit((unsigned char)text[0]) || (text[0] == '-' && min < 0);
    if (!plain || *end || errno || value < min || value > max)
        return err_set(e, ERR_USAGE, "\"%s\" is not a whole number from %lld to %lld", text,
            (long long)min, (long long)max);
    *ret_value = value;
    return 0;
}

char *text_size(char out[TEXT_SHORT], double bytes)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    size_t unit = 0;
    double value = bytes;
    while (fabs(value) >= 1023.95 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1024;
        unit++;
    }
    snprintf(out, TEXT_SHORT, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return out;
}

char *text_count(char out[TEXT_SHORT], int64_t count)
{
    char digits[TEXT_SHORT];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)count);
    char *to = out;
    for (int i = 0; i < length; i++) {
        *to++ = digits[i];
        int left = length - 1 - i;
        if (left > 0 && left % 3 == 0 && isdigit((unsigned char)digits[i]))
            *to++ = ',';
    }
    *to = '\0';
    return out;
}

char *text_duration(char out[TEXT_SHORT], int64_t us)
{
    long long seconds = (long long)((us + 500000) / 1000000);
    if (us < 1000)
        snprintf(out, TEXT_SHORT, "%lld us", (long long)us);
    else if (us < 1000000)
        snprintf(out, TEXT_SHORT, "%lld ms", (long long)(us / 1000));
    else if (us < 59950000)
        snprintf(out, TEXT_SHORT, "%.1f s", (double)us / 1e6);
    else if (seconds < 3600)
        snprintf(out, TEXT_SHORT, "%lld m %lld s", seconds / 60, seconds % 60);
    else
        snprintf(out, TEXT_SHORT, "%lld h %lld m", seconds / 3600, seconds / 60 % 60);
    return out;
}

static uint32_t decode_sequence(const unsigned char *p, size_t sequence)
{
    static const unsigned char lead_mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = p[0] & lead_mask[sequence];
    for (size_t i = 1; i < sequence; i++)
        code = code << 6 | (p[i] & 0x3f);
    return code;
}

size_t text_utf8_sequence(const char *text, size_t length)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *p = (const unsigned char *)text;
    if (length == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    size_t sequence = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || sequence > length)
        return 0;
    for (size_t i = 1; i < sequence; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    uint32_t code = decode_sequence(p, sequence);
    if (code < smallest[sequence] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    return sequence;
}

bool text_utf8_valid(const char *text, size_t length)
{
    while (length > 0) {
        uint64_t word;
        if (length >= sizeof word) { /* eight ASCII characters at once: most text is nothing else */
            memcpy(&word, text, sizeof word);
            if (!(word & 0x8080808080808080u)) {
                text += sizeof word;
                length -= sizeof word;
                continue;
            }
        }
        size_t sequence = text_utf8_sequence(text, length);
        if (sequence == 0)
            return false;
        text += sequence;
        length -= sequence;
    }
    return true;
}

/* Characters that change how a terminal shows what comes after them. */
static bool commands_terminal(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x2028 || code == 0x2029 ||
           code == 0x200e || code == 0x200f || (code >= 0x202a && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

int text_add_visible(struct buf *out, const char *text, size_t length)
{
    int rc = 0;
    while (length > 0 && rc == 0) {
        size_t sequence = text_utf8_sequence(text, length);
        uint32_t code = sequence ? decode_sequence((const unsigned char *)text, sequence) : 0;
        if (sequence && !commands_terminal(code))
            rc = buf_add(out, text, sequence);
        else if (sequence <= 1)
            rc = buf_addf(out, "\\x%02x", (unsigned char)text[0]);
        else
            rc = buf_addf(out, "\\u{%x}", code);
        size_t step = sequence ? sequence : 1;
        text += step;
        length -= step;
    }
    return rc;
}

int text_add_visible_json(struct buf *out, const char *json, size_t length)
{
    size_t kept = 0; /* what stands before it was added */
    int rc = 0;
    for (size_t i = 0; i < length && rc == 0;) {
        size_t sequence = text_utf8_sequence(json + i, length - i);
        size_t step = sequence ? sequence : 1;
        uint32_t code =
            sequence > 1 ? decode_sequence((const unsigned char *)json + i, sequence) : 0;
        if (code && commands_terminal(code)) { /* all of them are below U+10000 */
            rc = buf_add(out, json + kept, i - kept);
            if (rc == 0)
                rc = buf_addf(out, "\\u%04x", code);
            kept = i + step;
        } else if (json[i] == 0x7f) { /* DEL, which JSON allows */
            rc = buf_add(out, json + kept, i - kept);
            if (rc == 0)
                rc = buf_addf(out, "\\u007f");
            kept = i + step;
        }
        i += step;
    }
    return rc ? rc : buf_add(out, json + kept, length - kept);
}

int text_add_storable(struct buf *out, const char *text, size_t length)
{
    int rc = 0;
    while (length > 0 && rc == 0) {
        size_t sequence = text_utf8_sequence(text, length);
        if (sequence && text[0] != '\0')
            rc = buf_add(out, text, sequence);
        else
            rc = buf_addf(out, "\\x%02x", (unsigned char)text[0]);
        size_t step = sequence ? sequence : 1;
        text += step;
        length -= step;
    }
    return rc;
}

size_t text_columns(const char *text, size_t length)
{
    size_t columns = 0;
    while (length > 0) {
        size_t sequence = text_utf8_sequence(text, length);
        size_t step = sequence ? sequence : 1;
        uint32_t code = sequence ? decode_sequence((const unsigned char *)text, sequence) : '?';
        int width = code < 0x80 ? 1 : wcwidth((wchar_t)code);
        columns += width < 0 ? 1 : (size_t)width;
        text += step;
        length -= step;
    }
    return columns;
}

bool text_is_digits(const char *text)
{
    return text[0] && text[strspn(text, "0123456789")] == '\0';
}

bool text_is_file_url(const char *url)
{
    return url && (url[0] == '/' || strncmp(url, "file:", 5) == 0);
}

char *text_format(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&text, format, args);
    va_end(args);
    return length < 0 ? NULL : text;
}
