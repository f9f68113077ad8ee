n, k = map(int, input().split())
numbers = list(map(int, input().split()))
sums = [0]
for number in numbers[:n]:
    sums.append(sums[-1] + number)
windows = [sums[at + k] - sums[at] for at in range(n - k + 1)]
print(max(windows), windows.index(max(windows)) + 1)
