import sys
import textwrap

width, *paragraphs = sys.stdin.buffer.read().decode().split("\n")[:-1]
for paragraph in paragraphs:
    lines = textwrap.wrap(" ".join(paragraph.split()), int(width)) or [""]
    sys.stdout.buffer.write("".join(line + "\n" for line in lines).encode())
