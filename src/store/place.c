/* Where the SQLite file is. */
#include "store/place.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int place_find(const char *path, char **ret_path, struct err *e)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    char *found;
    if (path)
        found = strdup(path);
    else if (state && state[0] == '/') /* the XDG specification: anything else is ignored */
        found = text_format("%s/heaptap/heaptap.db", state);
    else if (home && home[0] == '/')
        found = text_format("%s/.local/state/heaptap/heaptap.db", home);
    else
        return err_set(e, ERR_DB,
            "no place for the database: neither XDG_STATE_HOME nor HOME is set; name a file with "
            "--db sqlite:PATH");
    if (!found)
        return err_set(e, ERR_NOMEM, "no memory for the database's path");
    *ret_path = found;
    return 0;
}

int place_make_folders(const char *path, struct err *e)
{
    int rc = 0;
    char *folder = strdup(path);
    if (!folder)
        return err_set(e, ERR_NOMEM, "no memory for the database's path");
    for (char *slash = strchr(folder + 1, '/'); slash && rc == 0; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(folder, 0700) != 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
            rc = err_set_errno(e, ERR_DB, errno, "cannot make the folder %s", folder);
        *slash = '/';
    }
    free(folder); /* what could not be made is reported by the open that follows */
    return rc;
}
