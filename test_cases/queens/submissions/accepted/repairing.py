import random
import sys


def place(n, chance):
    """Exchange rows at random while that leaves fewer queens on diagonals with others."""
    while True:
        column = list(range(n))
        chance.shuffle(column)
        up, down = [0] * (2 * n), [0] * (2 * n)

        def put(row, count):
            up[row + column[row]] += count
            down[row - column[row] + n] += count

        def attacked(row):
            return up[row + column[row]] + down[row - column[row] + n] - 2

        def exchange(one, other):
            put(one, -1)
            put(other, -1)
            column[one], column[other] = column[other], column[one]
            put(one, 1)
            put(other, 1)

        for row in range(n):
            put(row, 1)
        improved = True
        while improved:
            improved = False
            for one in range(n):
                if not attacked(one):
                    continue
                for other in range(n):
                    before = attacked(one) + attacked(other)
                    if one == other or not before:
                        continue
                    exchange(one, other)
                    if attacked(one) + attacked(other) < before:
                        improved = True
                        break
                    exchange(one, other)
        if not any(map(attacked, range(n))):
            return column


n = int(sys.stdin.readline())
if n in (2, 3):
    print("impossible")
else:
    print(*(each + 1 for each in place(n, random.Random(n))))
