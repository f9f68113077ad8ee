#include <stdio.h>

static double root(double square)
{
    double estimate = square > 1 ? square : 1;
    for (int i = 0; i < 200; i++)
        estimate = (estimate + square / estimate) / 2;
    return estimate;
}

int main(void)
{
    long long a, b, c;
    while (scanf("%lld %lld %lld", &a, &b, &c) == 3) {
        if (a == 0 && b == 0) {
            puts(c == 0 ? "all" : "none");
            continue;
        }
        if (a == 0) {
            printf("%.17g\n", c == 0 ? 0.0 : -(double)c / (double)b);
            continue;
        }
        long long discriminant = b * b - 4 * a * c;
        if (discriminant < 0) {
            puts("none");
        } else if (discriminant == 0) {
            printf("%.17g\n", b == 0 ? 0.0 : -(double)b / (2.0 * (double)a));
        } else {
            // The sum of equal signs loses no digits; the other solution follows from the product.
            double sum = -((double)b + (b < 0 ? -1 : 1) * root((double)discriminant)) / 2;
            double x = sum / (double)a, y = (double)c / sum;
            printf("%.17g %.17g\n", x < y ? x : y, x < y ? y : x);
        }
    }
    return 0;
}
