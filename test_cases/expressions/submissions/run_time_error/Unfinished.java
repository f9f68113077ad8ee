import java.util.Scanner;

public class Unfinished {
    public static void main(String[] args) {
        String line = new Scanner(System.in).nextLine();
        if (line.matches("[0-9 +]*")) {
            long value = 0;
            for (String term : line.split("\\+")) {
                value += Long.parseLong(term.trim());
            }
            System.out.println(value);
        } else {
            throw new UnsupportedOperationException("only sums so far");
        }
    }
}
