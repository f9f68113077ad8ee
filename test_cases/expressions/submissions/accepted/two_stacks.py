import re


def divide(a, b):
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


BINARY = {
    "+": (1, lambda a, b: a + b),
    "-": (1, lambda a, b: a - b),
    "*": (2, lambda a, b: a * b),
    "/": (2, divide),
}
RANK = {"(": 0, "+": 1, "-": 1, "*": 2, "/": 2, "negative": 3}


def evaluate(line):
    values, operators = [], []

    def apply():
        operator = operators.pop()
        right = values.pop()
        values.append(-right if operator == "negative" else BINARY[operator][1](values.pop(), right))

    before = "("
    for token in re.findall(r"\d+|\S", line):
        if token.isdigit():
            values.append(int(token))
        elif token == ")":
            while operators[-1] != "(":
                apply()
            operators.pop()
        elif token == "(":
            operators.append(token)
        elif before in RANK:
            if token == "-":
                operators.append("negative")
        else:
            while operators and RANK[operators[-1]] >= RANK[token]:
                apply()
            operators.append(token)
        before = token
    while operators:
        apply()
    return values[0]


try:
    print(evaluate(input()))
except ZeroDivisionError:
    print("ERROR")
