#include <cstdio>
#include <vector>

int main()
{
    int n, k;
    if (std::scanf("%d %d", &n, &k) != 2)
        return 1;
    std::vector<long long> sums(n + 1);
    for (int i = 1; i <= n; i++) {
        long long number;
        if (std::scanf("%lld", &number) != 1)
            return 1;
        sums[i] = sums[i - 1] + number;
    }
    int best = k;
    for (int end = k + 1; end <= n; end++)
        if (sums[end] - sums[end - k] > sums[best] - sums[best - k])
            best = end;
    std::printf("%lld %d\n", sums[best] - sums[best - k], best - k + 1);
}
