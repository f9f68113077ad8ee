#include <stdio.h>

static void move(int discs, char from, char to, char other)
{
    if (discs == 0)
        return;
    move(discs - 1, from, other, to);
    printf("%c %c\n", from, to);
    move(discs - 1, other, to, from);
}

int main(void)
{
    int discs;
    if (scanf("%d", &discs) == 1)
        move(discs, 'A', 'C', 'B');
    return 0;
}
