import java.util.Scanner;

public class Main {
    public static void main(String[] arguments) {
        String name = new Scanner(System.in).next();
        System.out.println("Hello, " + name + ", from Java: @NONCE@");
    }
}
