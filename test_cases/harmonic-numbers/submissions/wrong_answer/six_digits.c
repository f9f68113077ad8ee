#include <stdio.h>

int main(void)
{
    long long n;
    double total = 0;
    if (scanf("%lld", &n) != 1)
        return 1;
    long long summed = n < 1000000 ? n : 1000000;
    for (long long i = summed; i > 0; i--)
        total += 1.0 / (double)i;
    for (double from = (double)summed; from < (double)n; from *= 2) {
        double to = from * 2 < (double)n ? from * 2 : (double)n;
        double step = (to - from) / 1000;
        for (int i = 0; i < 1000; i++)
            total += step / (from + (i + 0.5) * step);
    }
    printf("%g\n", total);
    return 0;
}
