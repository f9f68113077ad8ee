import re

tokens = re.findall(r"\d+|\S", input())


def factor():
    token = tokens.pop(0)
    if token in "+-":
        return factor() if token == "+" else -factor()
    if token != "(":
        return int(token)
    value = total()
    tokens.pop(0)
    return value


def product():
    value = factor()
    while tokens and tokens[0] in "*/":
        operator, right = tokens.pop(0), factor()
        if operator == "*":
            value *= right
        else:
            quotient = abs(value) // abs(right)
            value = quotient if (value < 0) == (right < 0) else -quotient
    return value


def total():
    value = product()
    while tokens and tokens[0] in "+-":
        value += product() if tokens.pop(0) == "+" else -product()
    return value


print(total())
