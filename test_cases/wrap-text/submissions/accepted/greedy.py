import sys

width, *paragraphs = sys.stdin.buffer.read().decode().split("\n")[:-1]
lines = []
for paragraph in paragraphs:
    line = ""
    for word in paragraph.split():
        if line and len(line) + 1 + len(word) > int(width):
            lines.append(line)
            line = word
        else:
            line += " " + word if line else word
    lines.append(line)
sys.stdout.buffer.write("".join(line + "\n" for line in lines).encode())
