#include <stdio.h>

int main(void)
{
    long long a, b;
    while (scanf("%lld %lld", &a, &b) == 2) {
        if (b == 0)
            puts("undefined");
        else if (b == -1)
            printf("%s%llu 0\n", a > 0 ? "-" : "",
                   a < 0 ? 0 - (unsigned long long)a : (unsigned long long)a);
        else
            printf("%lld %lld\n", a / b, a % b);
    }
    return 0;
}
