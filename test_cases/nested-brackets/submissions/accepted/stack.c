#include <stdio.h>
#include <string.h>

static char line[1 << 17], open_ones[1 << 17];

int main(void)
{
    static const char opening[] = "([{", closing[] = ")]}";
    size_t depth = 0, deepest = 0;
    if (!fgets(line, sizeof line, stdin))
        line[0] = '\0';
    size_t length = strcspn(line, "\n");
    for (size_t at = 0; at < length; at++) {
        if (strchr(opening, line[at])) {
            open_ones[depth++] = line[at];
            if (depth > deepest)
                deepest = depth;
            continue;
        }
        const char *found = strchr(closing, line[at]);
        if (found && (depth == 0 || open_ones[--depth] != opening[found - closing])) {
            printf("wrong %zu\n", at + 1);
            return 0;
        }
    }
    if (depth > 0)
        printf("wrong %zu\n", length + 1);
    else
        printf("balanced %zu\n", deepest);
    return 0;
}
