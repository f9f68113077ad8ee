#include <stdio.h>

typedef __int128 wide;

static void show(wide value)
{
    unsigned long long size = value < 0 ? (unsigned long long)-value : (unsigned long long)value;
    printf("%s%llu", value < 0 ? "-" : "", size);
}

int main(void)
{
    long long a, b;
    while (scanf("%lld %lld", &a, &b) == 2) {
        if (b == 0) {
            puts("undefined");
            continue;
        }
        wide q = (wide)a / b, r = (wide)a % b;
        if (r != 0 && (r < 0) != (b < 0)) {
            q -= 1;
            r += b;
        }
        show(q);
        putchar(' ');
        show(r);
        putchar('\n');
    }
    return 0;
}
