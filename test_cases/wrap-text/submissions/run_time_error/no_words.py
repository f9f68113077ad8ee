import sys

width, *paragraphs = sys.stdin.buffer.read().decode().split("\n")[:-1]
for paragraph in paragraphs:
    words = paragraph.split()
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) > int(width):
            lines.append(word)
        else:
            lines[-1] += " " + word
    sys.stdout.buffer.write("".join(line + "\n" for line in lines).encode())
