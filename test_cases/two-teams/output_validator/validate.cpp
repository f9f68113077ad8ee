// Accepts any division of people that keeps all pairs apart.

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

static const int accept = 42, reject = 43, judge_error = 1;

static std::string feedback;

[[noreturn]] static void leave(int code, const std::string &reason)
{
    std::ofstream(feedback + "judgemessage.txt") << reason << '\n';
    std::exit(code);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return judge_error;
    feedback = argv[3];
    std::ifstream given(argv[1]), answer(argv[2]);
    std::string word, judges;
    answer >> judges;
    const bool judges_found_none = judges == "impossible";
    int n, m;
    if (!(given >> n >> m))
        return judge_error;
    std::vector<int> team(n + 1);
    if (!(std::cin >> word))
        leave(reject, "no output");
    if (word == "impossible") {
        if (std::cin >> word)
            leave(reject, "more after the word impossible");
        if (!judges_found_none)
            leave(reject, "a division is possible");
        return accept;
    }
    for (int person = 1; person <= n; person++) {
        if (person > 1 && !(std::cin >> word))
            leave(reject, "fewer teams than people");
        if (word != "1" && word != "2")
            leave(reject, "a team that is neither 1 nor 2");
        team[person] = word[0] - '0';
    }
    if (std::cin >> word)
        leave(reject, "more teams than people");
    int one, other;
    while (given >> one >> other)
        if (team[one] == team[other])
            leave(reject, std::to_string(one) + " and " + std::to_string(other) + " are in one team");
    if (judges_found_none)
        leave(judge_error, "the judges found no division, but here is one");
    return accept;
}
