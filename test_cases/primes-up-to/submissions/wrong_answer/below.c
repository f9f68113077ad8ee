#include <stdio.h>

static char is_composite[500001];

int main(void)
{
    int n;
    if (scanf("%d", &n) != 1)
        return 1;
    for (int i = 2; i < n; i++) {
        if (is_composite[i])
            continue;
        printf("%d\n", i);
        for (long long j = (long long)i * i; j < n; j += i)
            is_composite[j] = 1;
    }
    return 0;
}
