"""Writes every byte, sequences that rule terminals, and characters that XML can't carry."""

import sys

print("@NONCE@ began", flush=True)
out = sys.stdout.buffer
out.write(bytes(range(256)))
out.write(b"\x1b]0;title\x07\x1b[2J\x1b[1;1H\x1b[31mred\x1bc\x1b]8;;http://x\x1b\\link\r\n")
out.write("]]> <!-- \ufffe \uffff \u2028 \u202e \x85 --> </msg>\n".encode())
out.write(b"\xed\xa0\x80 \xc0\x80 \xf8\x88\x80\x80\x80\n")
out.flush()
print("@NONCE@ done", flush=True)
