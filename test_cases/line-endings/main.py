import sys

# Services may append a line end, so what ends the input says nothing.
text = sys.stdin.buffer.read().rstrip(b"\r\n")
both = text.count(b"\r\n")
print("CR LF:", both)
print("LF alone:", text.count(b"\n") - both)
print("CR alone:", text.count(b"\r") - both)
print("longest line:", max(map(len, text.splitlines()), default=0))
