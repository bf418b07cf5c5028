/* verify FILE…: whole, truncated, damaged or foreign, with the place where it breaks. */
#include "command/command.h"

#include <fcntl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "heap/unpack.h"
#include "heap/whole.h"
#include "show/json.h"
#include "show/out.h"
#include "show/progress.h"

/* What was found out about one file. */
struct finding {
    struct whole_result whole;
    enum unpack_packing packing;
    int64_t packed_bytes; /* of the file, as far as it was read */
    bool unreadable;
    struct err why; /* code 0 when the file is whole */
};

static const char *verdict_of(const struct finding *f)
{
    return f->unreadable ? "unreadable" : whole_verdict_name(f->whole.verdict);
}

/* A snapshot with samples is a timeline. */
static const char *kind_of(const struct finding *f)
{
    if (f->whole.kind == WHOLE_SNAPSHOT && f->whole.samples > 0)
        return "timeline";
    return whole_kind_name(f->whole.kind);
}

/* Feeds all of u to w. Where the packed data breaks, that is the verdict, unless what came out
 * before was wrong already. */
static int check_stream(struct unpack *u, struct whole *w, struct show_progress *progress,
    int64_t size, struct finding *f)
{
    const void *bytes;
    size_t count = 1;
    int rc = 0, packed_rc = 0;
    struct err packed = ERR_NONE;
    while (rc == 0 && count > 0) {
        packed_rc = unpack_read(u, &bytes, &count, &packed);
        if (packed_rc != 0)
            break;
        rc = whole_feed(w, bytes, count, &f->why);
        show_progress_at(progress, unpack_taken(u), size, clock_monotonic_us());
    }
    int whole_rc = whole_finish(w, &f->whole, &f->why);
    f->packing = unpack_packing(u);
    f->packed_bytes = unpack_taken(u);
    if (packed_rc == 0 || rc != 0)
        return rc ? rc : whole_rc;
    f->why = packed;
    if (packed_rc == ERR_FORMAT) {
        f->whole.verdict = unpack_is_cut(u) ? WHOLE_TRUNCATED : WHOLE_DAMAGED;
        f->whole.position = packed.position;
        char at[TEXT_SHORT];
        err_context(&f->why, "%s at byte %s", whole_verdict_name(f->whole.verdict),
            text_count(at, packed.position));
    }
    return packed_rc;
}

/* Fills f; whatever is wrong with the file stands in f->why. */
static void check_file(const char *path, struct show_progress *progress, struct finding *f)
{
    struct stat st;
    struct unpack *u = NULL;
    int rc = 0;
    bool is_stdin = strcmp(path, "-") == 0;
    struct whole *w = whole_new();
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    *f = (struct finding){.whole = {.position = -1}, .why = ERR_NONE};
    if (!w)
        rc = err_set(&f->why, ERR_NOMEM, "out of memory");
    else if (fd < 0)
        rc = err_set_errno(&f->why, ERR_IO, errno, "cannot open it");
    else
        rc = unpack_open(fd, &u, &f->why);
    if (rc == 0) {
        bool sized = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
        show_progress_begin(progress, is_stdin ? "standard input" : path, SHOW_UNIT_BYTES,
            sized ? st.st_size : 0, clock_monotonic_us());
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        rc = check_stream(u, w, progress, sized ? st.st_size : 0, f);
        show_progress_clear(progress);
    }
    f->unreadable = rc != 0 && rc != ERR_FORMAT;
    if (rc == 0)
        f->why = ERR_NONE;
    unpack_close(u);
    whole_free(w);
    if (fd >= 0 && !is_stdin)
        (void)close(fd);
}

static int print_text(
    const struct show_out *o, const char *path, const struct finding *f, struct err *e)
{
    char a[TEXT_SHORT], b[TEXT_SHORT], c[TEXT_SHORT];
    const struct whole_result *r = &f->whole;
    int rc = show_text(o, path, strlen(path), e);
    if (rc != 0)
        return rc;
    if (f->why.code != 0) {
        fprintf(o->file, ": %s", show_on(o, SHOW_RED));
        rc = show_text(o, f->why.text, strlen(f->why.text), e);
        fprintf(o->file, "%s\n", show_off(o));
        return rc;
    }
    fprintf(o->file, ": %swhole %s%s", show_on(o, SHOW_GREEN),
        r->kind == WHOLE_PROFILE ? "sampling profile" : kind_of(f), show_off(o));
    if (r->kind == WHOLE_SNAPSHOT)
        fprintf(o->file, ", %s nodes, %s edges, %s strings", text_count(a, r->nodes),
            text_count(b, r->edges), text_count(c, r->strings));
    if (r->samples > 0)
        fprintf(o->file, ", %s samples", text_count(a, r->samples));
    fprintf(o->file, ", %s", text_size(a, (double)r->bytes));
    if (f->packing != UNPACK_PLAIN)
        fprintf(
            o->file, " (%s as %s)", text_size(a, (double)f->packed_bytes), unpack_name(f->packing));
    fputc('\n', o->file);
    return 0;
}

static int print_json(
    const struct show_out *o, const char *path, const struct finding *f, struct err *e)
{
    const struct whole_result *r = &f->whole;
    int rc = 0;
    cJSON *root = show_json_object(NULL, NULL, &rc);
    show_json_word(root, "schema", "heaptap.verify/1", &rc);
    show_json_word(root, "file", path, &rc);
    show_json_word(root, "verdict", verdict_of(f), &rc);
    show_json_word(root, "kind", kind_of(f), &rc);
    show_json_word(root, "packing", unpack_name(f->packing), &rc);
    show_json_integer(root, "bytes", r->bytes, &rc);
    show_json_integer(root, "file_bytes", f->packed_bytes, &rc);
    show_json_integer(root, "nodes", r->nodes, &rc);
    show_json_integer(root, "edges", r->edges, &rc);
    show_json_integer(root, "strings", r->strings, &rc);
    show_json_integer(root, "samples", r->samples, &rc);
    if (f->why.code != 0 && r->position >= 0)
        show_json_integer(root, "position", r->position, &rc);
    else
        show_json_null(root, "position", &rc);
    show_json_word(root, "error", f->why.code ? f->why.text : NULL, &rc);
    return show_json_line(o, root, rc, e);
}

static void report_unreadable(const char *path, const struct finding *f)
{
    struct err why = f->why;
    err_context(&why, "%s", path);
    command_tell_error("verify", &why);
}

/* One bad file counts for more than any that cannot be read. */
static int worst_of(int a, int b)
{
    return a > b ? a : b;
}

static int run(const struct invocation *in, struct err *e)
{
    enum show_color color = SHOW_COLOR_AUTO;
    int rc = show_parse_color(settings_text(in->settings, SET_COLOR), &color, e);
    if (rc != 0)
        return rc;
    bool as_json = settings_flag(in->settings, SET_JSON);
    int worst = 0;
    struct show_out out = show_out_new(stdout, as_json ? SHOW_JSON : SHOW_TEXT, color);
    struct show_out err_out = show_out_new(stderr, SHOW_TEXT, color);
    struct show_progress *progress =
        settings_flag(in->settings, SET_QUIET) ? NULL : show_progress_new(&err_out);
    for (int i = 0; i < in->word_count && rc == 0; i++) {
        struct finding f;
        check_file(in->words[i], progress, &f);
        if (f.unreadable)
            report_unreadable(in->words[i], &f);
        if (f.why.code != 0)
            worst = worst_of(worst, err_exit_code(f.why.code));
        if (as_json)
            rc = print_json(&out, in->words[i], &f, e);
        else if (!f.unreadable)
            rc = print_text(&out, in->words[i], &f, e);
    }
    show_progress_free(progress);
    if (rc == 0)
        rc = show_out_finish(&out, e);
    return rc ? rc : worst;
}

static const enum setting_id accepted[] = {SET_END};

const struct command command_verify = {
    .name = "verify",
    .arguments = "FILE...",
    .summary = "is this file a whole capture",
    .examples = "  heaptap verify /tmp/heap-*.heapsnapshot\n"
                "  heaptap verify --json server.heaptimeline.zst\n"
                "  ssh server cat a.heapsnapshot.gz | heaptap verify -\n",
    .details =
        "Reads snapshots, allocation timelines and sampling profiles, plain, .zst or .gz (told by\n"
        "their first bytes), in one pass and in little memory. Each file gets a line:\n"
        "  whole      complete, and its counts match\n"
        "  truncated  begins well and ends too early\n"
        "  damaged    breaks in the middle, or its counts do not match\n"
        "  foreign    something else\n"
        "The exit code is 6 if any of them is not whole, else 4 if any cannot be read. With "
        "--json\n"
        "each line is an object.\n",
    .settings = accepted,
    .words_min = 1,
    .words_max = -1,
    .run = run,
};
