import sys
import unicodedata

# Neither stream's encoding may depend on the machine.
text = sys.stdin.buffer.read().decode("utf-8").strip()
composed = unicodedata.normalize("NFC", text)
report = [
    text,
    f"code points: {len(text)}",
    f"UTF-8 bytes: {len(text.encode('utf-8'))}",
    f"composed code points: {len(composed)}",
    f"last: U+{ord(text[-1]):04X} {unicodedata.name(text[-1])}",
]
sys.stdout.buffer.write("\n".join(report).encode("utf-8") + b"\n")
