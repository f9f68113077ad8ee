#include <assert.h>
#include <stdio.h>

int main(void)
{
    long long a, b;
    while (scanf("%lld %lld", &a, &b) == 2) {
        assert(b != 0);
        __int128 q = (__int128)a / b;
        long long r = (long long)((__int128)a % b);
        if (r != 0 && (r < 0) != (b < 0)) {
            q -= 1;
            r += b;
        }
        unsigned long long size = (unsigned long long)(q < 0 ? -q : q);
        printf("%s%llu %lld\n", q < 0 ? "-" : "", size, r);
    }
    return 0;
}
