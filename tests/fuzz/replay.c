/* Runs a fuzz target over the files of a folder once: what fuzzing found stays found. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILE_MAX (1 << 20) /* seeds are small */

int main(int argc, char **argv)
{
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    unsigned count = 0;
    if (!folder) {
        fprintf(stderr, "usage: replay FOLDER\n");
        return 2;
    }
    for (struct dirent *d; (d = readdir(folder));) {
        char path[4096];
        if (d->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], d->d_name);
        FILE *f = fopen(path, "rb");
        uint8_t *data = malloc(FILE_MAX);
        if (!f || !data) {
            fprintf(stderr, "replay: cannot read %s\n", path);
            return 1;
        }
        size_t size = fread(data, 1, FILE_MAX, f);
        uint8_t *exact = realloc(data, size ? size : 1); /* reading behind it is seen */
        LLVMFuzzerTestOneInput(exact ? exact : data, size);
        free(exact ? exact : data);
        fclose(f);
        count++;
    }
    closedir(folder);
    printf("%u files\n", count);
    return count ? 0 : 1;
}
