/* Accepts any placement of queens where none attacks another. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ACCEPT = 42, REJECT = 43, JUDGE_ERROR = 1, MOST = 1000 };

static void leave(const char *folder, int code, const char *reason)
{
    char path[4096];
    snprintf(path, sizeof path, "%sjudgemessage.txt", folder);
    FILE *file = fopen(path, "w");
    if (file) {
        fprintf(file, "%s\n", reason);
        fclose(file);
    }
    exit(code);
}

int main(int argc, char **argv)
{
    static int column[MOST];
    static char word[32];
    int n;
    FILE *input = argc > 3 ? fopen(argv[1], "r") : NULL;
    if (!input || fscanf(input, "%d", &n) != 1 || n >= MOST)
        return JUDGE_ERROR;
    for (int row = 0; row < n; row++) {
        if (scanf("%31s", word) != 1)
            leave(argv[3], REJECT, "fewer queens than rows");
        if (row == 0 && strcmp(word, "impossible") == 0) {
            if (n != 2 && n != 3)
                leave(argv[3], REJECT, "a placement is possible");
            if (scanf("%31s", word) == 1)
                leave(argv[3], REJECT, "more after the word impossible");
            return ACCEPT;
        }
        char *end;
        long value = strtol(word, &end, 10);
        if (*end || value < 1 || value > n)
            leave(argv[3], REJECT, "not a column of the board");
        column[row] = (int)value;
        for (int other = 0; other < row; other++)
            if (column[other] == column[row] || abs(column[other] - column[row]) == row - other)
                leave(argv[3], REJECT, "two queens attack each other");
    }
    if (scanf("%31s", word) == 1)
        leave(argv[3], REJECT, "more queens than rows");
    return ACCEPT;
}
