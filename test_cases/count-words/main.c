#include <ctype.h>
#include <stdio.h>

int main(void) {
    int character, in_word = 0;
    long words = 0, letters = 0, digits = 0;
    while ((character = getchar()) != EOF) {
        if (isspace(character)) {
            in_word = 0;
            continue;
        }
        words += !in_word;
        in_word = 1;
        letters += isalpha(character) != 0;
        digits += isdigit(character) != 0;
    }
    printf("words: %ld\nletters: %ld\ndigits: %ld\n", words, letters, digits);
    return 0;
}
