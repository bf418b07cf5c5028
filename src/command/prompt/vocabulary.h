/* The words that the prompt can complete, kept by the session and read by the editor's thread. */
#ifndef HEAPTAP_COMMAND_PROMPT_VOCABULARY_H
#define HEAPTAP_COMMAND_PROMPT_VOCABULARY_H

#include "base/err.h"
#include "command/prompt/editor.h"
#include "command/prompt/protocol.h"

#include <stddef.h>
#include <stdint.h>

struct vocabulary;
struct heap;

struct vocabulary *vocabulary_new(void); /* NULL when memory is out */
void vocabulary_free(struct vocabulary *v);

void vocabulary_set_counts(struct vocabulary *v, size_t targets, size_t snapshots);
/* The class names of the snapshot that was opened last. */
void vocabulary_set_classes(struct vocabulary *v, const struct heap *h);
/* An object id that was shown. */
void vocabulary_add_id(struct vocabulary *v, int64_t id);
/* Shared, never freed before v. */
void vocabulary_set_protocol(struct vocabulary *v, const struct protocol *p);

/* Completes a line: an editor_complete_fn with the vocabulary as arg. Class names are made visible;
 * words with blanks are not offered. */
bool vocabulary_complete(
    void *vocabulary, const char *line, size_t cursor, struct editor_choices *ret);

#endif
