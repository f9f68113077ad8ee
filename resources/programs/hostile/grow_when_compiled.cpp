// A few lines of templates that become more types than any compiler can hold.
template <int n, int m> struct Grows {
    typedef typename Grows<n - 1, 2 * m>::type left;
    typedef typename Grows<n - 1, 2 * m + 1>::type right;
    typedef Grows type;
};
template <int m> struct Grows<0, m> { typedef int type; };
int main() { return sizeof(Grows<30, 0>::left); }
