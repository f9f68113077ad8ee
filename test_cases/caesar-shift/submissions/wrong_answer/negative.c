#include <stdio.h>

int main(void)
{
    int shift, character;
    if (scanf("%d", &shift) != 1)
        return 1;
    while ((character = getchar()) != EOF && character != '\n')
        ;
    while ((character = getchar()) != EOF) {
        if (character >= 'a' && character <= 'z')
            character = 'a' + (character - 'a' + shift) % 26;
        else if (character >= 'A' && character <= 'Z')
            character = 'A' + (character - 'A' + shift) % 26;
        putchar(character);
    }
    return 0;
}
