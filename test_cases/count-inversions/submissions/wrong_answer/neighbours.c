#include <stdio.h>

int main(void)
{
    int n, before, number, count = 0;
    if (scanf("%d", &n) != 1)
        return 1;
    for (int i = 0; i < n && scanf("%d", &number) == 1; i++) {
        count += i > 0 && before > number;
        before = number;
    }
    printf("%d\n", count);
    return 0;
}
