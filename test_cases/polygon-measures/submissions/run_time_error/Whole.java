import java.util.Scanner;

public class Whole {
    public static void main(String[] args) {
        Scanner scanner = new Scanner(System.in);
        int n = scanner.nextInt();
        double[] x = new double[n];
        double[] y = new double[n];
        for (int i = 0; i < n; i++) {
            x[i] = Integer.parseInt(scanner.next());
            y[i] = Integer.parseInt(scanner.next());
        }
        double area = 0;
        double perimeter = 0;
        for (int i = 0; i < n; i++) {
            int next = (i + 1) % n;
            area += x[i] * y[next] - x[next] * y[i];
            perimeter += Math.hypot(x[next] - x[i], y[next] - y[i]);
        }
        System.out.println(Math.abs(area) / 2 + " " + perimeter);
    }
}
