/* Build tool: turns SQL files into one C file, so that the program carries its SQL inside.
 * embed OUTPUT NAME=FILE...; the entries keep the order of the arguments. */
#include <stdio.h>
#include <string.h>

static int emit_text(const char *path)
{
    FILE *in = fopen(path, "rb");
    if (!in) {
        perror(path);
        return -1;
    }
    int c;
    fputs("     \"", stdout);
    while ((c = getc(in)) != EOF) {
        if (c == '\n')
            fputs("\\n\"\n     \"", stdout);
        else if (c == '"' || c == '\\' || c == '?')
            printf("\\%c", c);
        else if (c >= 0x20 && c < 0x7f)
            putchar(c);
        else
            printf("\\%03o", c);
    }
    fputs("\"", stdout);
    int failed = ferror(in);
    fclose(in);
    return failed ? -1 : 0;
}

int main(int argc, char **argv)
{
    if (argc < 2 || !freopen(argv[1], "wb", stdout)) {
        fprintf(stderr, "embed: cannot write %s\n", argc < 2 ? "(no output named)" : argv[1]);
        return 1;
    }
    puts("#include \"store/sql.h\"\n\nconst struct sql_file sql_files[] = {");
    for (int i = 2; i < argc; i++) {
        char *path = strchr(argv[i], '=');
        if (!path) {
            fprintf(stderr, "embed: \"%s\" is not of the form NAME=FILE\n", argv[i]);
            return 1;
        }
        printf("    {\"%.*s\",\n", (int)(path - argv[i]), argv[i]);
        if (emit_text(path + 1) != 0)
            return 1;
        puts("},");
    }
    puts("    {0, 0},\n};");
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
