import java.util.Scanner;

public class Descent {
    private final String text;
    private int at = 0;

    private Descent(String text) {
        this.text = text;
    }

    public static void main(String[] args) {
        String line = new Scanner(System.in).nextLine();
        try {
            System.out.println(new Descent(line.replace(" ", "") + "$").sum());
        } catch (ArithmeticException divisionByZero) {
            System.out.println("error");
        }
    }

    private long sum() {
        long value = product();
        while (text.charAt(at) == '+' || text.charAt(at) == '-') {
            value += text.charAt(at++) == '+' ? product() : -product();
        }
        return value;
    }

    private long product() {
        long value = factor();
        while (text.charAt(at) == '*' || text.charAt(at) == '/') {
            if (text.charAt(at++) == '*') {
                value *= factor();
            } else {
                value /= factor();
            }
        }
        return value;
    }

    private long factor() {
        char first = text.charAt(at);
        if (first == '-' || first == '+') {
            at++;
            return first == '-' ? -factor() : factor();
        }
        if (first == '(') {
            at++;
            long value = sum();
            at++;
            return value;
        }
        long value = 0;
        while (Character.isDigit(text.charAt(at))) {
            value = 10 * value + (text.charAt(at++) - '0');
        }
        return value;
    }
}
