/* dominators FILE [@ID]: the dominator tree, cut where a branch holds less than a share. */
#include "command/heapfile.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "show/json.h"

#define DEPTH_MAX 200 /* bounds the stack of the walk below */
#define ROWS      200 /* of the tree on a terminal; --top changes it */

struct level {
    uint32_t *nodes; /* owned */
    size_t count, next;
};

struct walk {
    struct heap *heap;
    const struct show_out *out;
    struct level level[DEPTH_MAX + 1];
    uint64_t least; /* bytes that a branch must retain */
    size_t depth, left;
    bool cut;    /* by --top */
    bool pruned; /* by --share or --depth */
};

static int node_json(struct walk *w, uint32_t node, size_t depth, cJSON *list, int *rc)
{
    const struct heap_columns *c = heap_columns(w->heap);
    struct buf name = buf_new(UINT32_MAX);
    if (heap_add_node_name(w->heap, node, &name) < 0)
        buf_clear(&name);
    cJSON *o = show_json_object(list, NULL, rc);
    show_json_integer(o, "id", c->id[node], rc);
    show_json_integer(o, "depth", (int64_t)depth, rc);
    show_json_text(o, "name", name.data ? name.data : "", name.length, rc);
    show_json_word(o, "kind", heap_kind_name(w->heap, c->kind[node]), rc);
    show_json_integer(o, "self_size", c->self[node], rc);
    show_json_integer(o, "retained_size", (int64_t)c->retained[node], rc);
    buf_free(&name);
    return *rc;
}

static void node_row(struct walk *w, uint32_t node, size_t depth, struct show_table *t)
{
    const struct heap_columns *c = heap_columns(w->heap);
    struct buf name = buf_new(UINT32_MAX);
    double total = (double)heap_total_size(w->heap);
    int r = 0;
    for (size_t i = 0; i < depth && r == 0; i++)
        r = buf_add_text(&name, "  ");
    if (r == 0)
        r = heap_add_node_name(w->heap, node, &name);
    if (r == 0 && name.length == 2 * depth)
        r = buf_addf(&name, "(%s)", heap_kind_name(w->heap, c->kind[node]));
    show_add_text(t, name.data ? name.data : "",
        name.length < HEAPFILE_NAME_TEXT ? name.length : HEAPFILE_NAME_TEXT);
    buf_free(&name);
    show_add_integer(t, c->id[node]);
    show_add_integer(t, c->self[node]);
    show_add_integer(t, (int64_t)c->retained[node]);
    show_add_number(t, total > 0 ? (double)c->retained[node] / total : 0);
}

/* Depth first without recursion; every level keeps its list of children. */
static int walk_tree(
    struct walk *w, uint32_t node, struct show_table *t, cJSON *list, int *rc, struct err *e)
{
    const struct heap_columns *c = heap_columns(w->heap);
    size_t depth = 0;
    int r = 0;
    for (;;) {
        if (w->left == 0) {
            w->cut = true;
            break;
        }
        w->left--;
        if (t)
            node_row(w, node, depth, t);
        else if (node_json(w, node, depth, list, rc) < 0)
            break;
        if (depth == w->depth) {
            w->pruned = w->pruned || c->retained[node] > c->self[node];
        } else {
            struct level *l = &w->level[depth + 1];
            free(l->nodes);
            *l = (struct level){0};
            if ((r = heap_dominated(w->heap, node, &l->nodes, &l->count, e)) < 0)
                break;
            depth++;
        }
        while (depth > 0) {
            struct level *l = &w->level[depth];
            if (l->next < l->count && c->retained[l->nodes[l->next]] >= w->least)
                break;
            w->pruned = w->pruned || l->next < l->count;
            depth--;
        }
        if (depth == 0)
            break;
        node = w->level[depth].nodes[w->level[depth].next++];
    }
    return r;
}

static int run(const struct invocation *in, struct err *e)
{
    static const struct show_column columns[] = {{"OBJECT", "name", SHOW_NAME, 0},
        {"ID", "id", SHOW_ID, 0}, {"SELF", "self_size", SHOW_SIZE, 0},
        {"RETAINED", "retained_size", SHOW_SIZE, 0}, {"SHARE", "retained_share", SHOW_SHARE, 0}};
    struct walk *w = calloc(1, sizeof *w);
    struct heap *h = NULL;
    struct show_out out;
    struct show_table *t = NULL;
    cJSON *root = NULL;
    int rc = 0, r = w ? sink_of(in, &out, e) : err_set(e, ERR_NOMEM, "out of memory");
    if (r < 0 || (r = reading_open(in, in->words[0], &h, e)) < 0)
        goto out;
    uint32_t node = heap_columns(h)->root;
    if (in->word_count == 2 && (r = heapfile_node(h, in->words[1], &node, e)) < 0)
        goto out;
    int64_t depth = settings_number(in->settings, SET_DEPTH);
    w->heap = h;
    w->out = &out;
    w->depth = depth < 0 ? 0 : depth > DEPTH_MAX ? DEPTH_MAX : (size_t)depth;
    w->left = heapfile_top(in, &out, ROWS);
    w->least = (uint64_t)(settings_share(in->settings, SET_SHARE) * (double)heap_total_size(h));
    if (out.format == SHOW_JSON) {
        root = show_json_object(NULL, NULL, &rc);
        show_json_word(root, "schema", "heaptap.dominators/1", &rc);
        show_json_integer(root, "total_size", (int64_t)heap_total_size(h), &rc);
        cJSON *list = show_json_array(root, "nodes", &rc);
        if ((r = walk_tree(w, node, NULL, list, &rc, e)) == 0) {
            r = show_json(&out, root, rc, e);
            root = NULL;
        }
    } else {
        t = show_table_new(columns, sizeof columns / sizeof *columns);
        if ((r = walk_tree(w, node, t, NULL, &rc, e)) == 0)
            r = show_table(&out, t, e);
        if (r == 0 && w->cut && out.format == SHOW_TEXT)
            fprintf(out.file, "… and more; --top N shows them\n");
        else if (r == 0 && w->pruned && out.format == SHOW_TEXT)
            fprintf(out.file, "… and what is smaller or deeper; --share and --depth show it\n");
    }
    if (r == 0)
        r = show_out_finish(&out, e);
out:
    cJSON_Delete(root);
    show_table_free(t);
    for (size_t i = 0; w && i <= DEPTH_MAX; i++)
        free(w->level[i].nodes);
    free(w);
    reading_close(in, h);
    return r;
}

static const enum setting_id accepted[] = {
    SET_TOP, SET_CSV, SET_DEPTH, SET_SHARE, SET_PARTIAL, SET_END};

const struct command command_dominators = {
    .name = "dominators",
    .arguments = "FILE [@ID]",
    .summary = "the dominator tree: what would be freed with what",
    .examples = "  heaptap dominators server.heapsnapshot\n"
                "  heaptap dominators --share 0.5% --depth 12 server.heapsnapshot @12345\n",
    .details = "Each object stands under the one that alone keeps it alive, largest first.\n",
    .settings = accepted,
    .words_min = 1,
    .words_max = 2,
    .run = run,
};
