// Recurses until its stack is at an end; its own cap is 64 MiB.
#include <stdio.h>
#include <string.h>

static int deeper(int depth) {
    volatile char block[1024];
    memset((void *)block, depth, sizeof block);
    return depth < 65536 ? deeper(depth + 1) + block[depth % 1024] : block[0];
}

int main(void) {
    printf("@NONCE@ began\n");
    fflush(stdout);
    int sum = deeper(0);
    printf("@NONCE@ done: %d\n", sum);
    return 0;
}
