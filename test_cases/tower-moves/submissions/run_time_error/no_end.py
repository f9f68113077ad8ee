import sys


def move(discs, source, target, other):
    if discs != 1:
        move(discs - 1, source, other, target)
    print(source, target)
    if discs != 1:
        move(discs - 1, other, target, source)


move(int(sys.stdin.readline()), "A", "C", "B")
