#include <algorithm>
#include <iostream>
#include <vector>

int main() {
    std::vector<long long> numbers;
    for (long long number; std::cin >> number;) {
        numbers.push_back(number);
    }
    std::sort(numbers.begin(), numbers.end());
    std::cout << numbers.size() << " numbers\n";
    for (long long number : numbers) {
        std::cout << number << '\n';
    }
}
