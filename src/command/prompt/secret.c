/* Which lines of the prompt stay out of its history. */
#include "command/prompt/editor.h"

#include <string.h>

static const char *const words[] = {"password", "passwd", "passphrase", "secret", "token", "apikey",
    "api_key", "api-key", "authorization", "bearer ", "private_key", "privatekey", "credential",
    "set-cookie", "pgpassword", "pwd=",
    /* how keys begin: of a certificate, JSON Web Tokens, GitHub, GitLab, Slack, Amazon, Stripe */
    "-----begin", "eyj", "ghp_", "gho_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "akia",
    "sk_live", "sk-"};

/* postgres://user:pass@host and its like. */
static bool has_login(const char *line)
{
    const char *scheme = strstr(line, "://");
    for (; scheme; scheme = strstr(scheme + 3, "://")) {
        const char *end = scheme + 3 + strcspn(scheme + 3, " /'\"`");
        const char *at = memchr(scheme + 3, '@', (size_t)(end - scheme - 3));
        if (at && memchr(scheme + 3, ':', (size_t)(at - scheme - 3)))
            return true;
    }
    return false;
}

bool editor_is_secret(const char *line)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasestr(line, words[i]))
            return true;
    return has_login(line);
}
