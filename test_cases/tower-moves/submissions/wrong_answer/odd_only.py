import sys

discs = int(sys.stdin.readline())
for number in range(1, 2**discs):
    source = (number & (number - 1)) % 3
    target = ((number | (number - 1)) + 1) % 3
    print("ABC"[source], "ABC"[target])
