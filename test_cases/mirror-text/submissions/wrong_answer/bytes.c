#include <stdio.h>
#include <string.h>

int main(void)
{
    static char line[1 << 16];
    while (fgets(line, sizeof line, stdin)) {
        size_t length = strcspn(line, "\n");
        while (length > 0)
            putchar(line[--length]);
        putchar('\n');
    }
    return 0;
}
