n = int(input())
columns, up, down = set(), set(), set()
placed = []


def place(row):
    if row == n:
        return True
    for column in range(n):
        if column in columns or row + column in up or row - column in down:
            continue
        for taken, value in ((columns, column), (up, row + column), (down, row - column)):
            taken.add(value)
        placed.append(column + 1)
        if place(row + 1):
            return True
        placed.pop()
        for taken, value in ((columns, column), (up, row + column), (down, row - column)):
            taken.remove(value)
    return False


print(*placed if place(0) else ["impossible"])
