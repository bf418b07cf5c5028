/* What the commands that read snapshot files share: patterns, objects, names. */
#ifndef HEAPTAP_COMMAND_HEAPFILE_H
#define HEAPTAP_COMMAND_HEAPFILE_H

#include "command/command.h"
#include "command/reading.h"
#include "command/sink.h"
#include "heap/heap.h"
#include "show/out.h"
#include "show/table.h"

#include <regex.h>

/* A pattern from a setting, or a name as tables show it; *ret_any false if it is unset. regfree
 * after success with any. */
int heapfile_pattern(const struct invocation *in, enum setting_id id, regex_t *ret, bool *ret_any,
    struct err *e) MUST_USE;

/* "@123" or "123" to the node with that id. */
int heapfile_node(
    const struct heap *h, const char *word, uint32_t *ret_node, struct err *e) MUST_USE;

/* --top, or `otherwise` on a terminal, or everything (SIZE_MAX). */
size_t heapfile_top(const struct invocation *in, const struct show_out *o, size_t otherwise);

/* What stands below a table for people: how many rows --top has left out, or, where there are none
 * at all, `nothing`. CSV and JSON have neither. */
void heapfile_end(const struct show_out *o, size_t rows, size_t hidden, const char *nothing);

/* Puts heap_statistics into `to` as "statistics". */
void heapfile_json_statistics(cJSON *to, const struct heap *h, int *rc);

/* Adds the node's name as a cell: "(array)" for one without, cut to what a table or an answer can
 * bear. */
#define HEAPFILE_NAME_TEXT 120  /* bytes in a table for people */
#define HEAPFILE_NAME_DATA 4096 /* in CSV and JSON; V8 cuts names at 1024 characters anyway */
void heapfile_add_name(
    struct show_table *t, const struct show_out *o, const struct heap *h, uint32_t node);

/* A table of merged paths; followed as heap_group_paths gives it. show_table_free. */
struct show_table *heapfile_paths(
    const struct heap *h, const struct heap_path_group *groups, size_t count, size_t followed);

#endif
