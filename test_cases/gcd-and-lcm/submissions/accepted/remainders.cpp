#include <cstdio>

int main()
{
    const unsigned long long most = 1000000000000000000ULL;
    int n;
    unsigned long long divisor = 0, number;
    unsigned __int128 multiple = 1;
    if (std::scanf("%d", &n) != 1)
        return 1;
    for (int i = 0; i < n && std::scanf("%llu", &number) == 1; i++) {
        for (unsigned long long a = number; a != 0;) {
            unsigned long long rest = divisor % a;
            divisor = a;
            a = rest;
        }
        if (multiple > most)
            continue;
        unsigned long long a = static_cast<unsigned long long>(multiple), b = number;
        while (b != 0) {
            unsigned long long rest = a % b;
            a = b;
            b = rest;
        }
        multiple *= number / a;
    }
    if (multiple > most)
        std::printf("%llu large\n", divisor);
    else
        std::printf("%llu %llu\n", divisor, static_cast<unsigned long long>(multiple));
}
