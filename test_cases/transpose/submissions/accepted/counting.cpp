#include <iostream>
#include <string>
#include <vector>

int main()
{
    std::size_t rows, columns;
    std::cin >> rows >> columns;
    std::vector<std::string> words(rows * columns);
    for (auto &word : words)
        std::cin >> word;
    for (std::size_t column = 0; column < columns; column++)
        for (std::size_t row = 0; row < rows; row++)
            std::cout << words[row * columns + column] << (row + 1 < rows ? ' ' : '\n');
}
