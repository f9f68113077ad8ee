#include <cstdio>

int main()
{
    unsigned long long a, b, m;
    while (std::scanf("%llu %llu %llu", &a, &b, &m) == 3) {
        unsigned long long power = 1 % m, square = a % m;
        for (; b > 0; b /= 2) {
            if (b % 2)
                power = power * square % m;
            square = square * square % m;
        }
        std::printf("%llu\n", power);
    }
}
