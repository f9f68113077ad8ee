import re

line = re.sub(r"\b0+(?=\d)", "", input())
try:
    # Python's own brackets are limited, so that the innermost are replaced one after the other.
    while "(" in line:
        line = re.sub(r"\(([^()]*)\)", lambda found: f" {eval(found[1].replace('/', '//'))} ", line)
    print(eval(line.strip().replace("/", "//")))
except ZeroDivisionError:
    print("error")
