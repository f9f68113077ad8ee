import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.StringTokenizer;

public class Measures {
    public static void main(String[] args) throws IOException {
        BufferedReader reader = new BufferedReader(new InputStreamReader(System.in));
        int n = Integer.parseInt(reader.readLine().trim());
        double[] x = new double[n];
        double[] y = new double[n];
        for (int i = 0; i < n; i++) {
            StringTokenizer tokens = new StringTokenizer(reader.readLine());
            x[i] = Double.parseDouble(tokens.nextToken());
            y[i] = Double.parseDouble(tokens.nextToken());
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
