import sys

width, *paragraphs = sys.stdin.buffer.read().decode().split("\n")[:-1]
out = ""
for paragraph in paragraphs:
    used = 0
    for word in paragraph.split():
        if used and used + len(word) > int(width):
            out += "\n"
            used = 0
        out += word + " "
        used += len(word) + 1
    out += "\n"
sys.stdout.buffer.write(out.encode())
